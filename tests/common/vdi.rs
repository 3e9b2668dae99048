//! Builds VDI files field by field, and says what they hold: a simple model of the format,
//! sharing no code with the reader.

/// What a block of the guest's disk is in this image.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Not here: the parent's, or zeros.
    Free,
    /// Zeros.
    Zero,
    /// These bytes, padded with zeros to a block.
    Data(Vec<u8>),
}

/// Which header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Version {
    /// 0.2.
    V0,
    /// 1.1 with `cbHeader` 0x180.
    V1,
    /// 1.1 with `cbHeader` 0x190.
    V1Plus,
}

/// A VDI to build. All fields may be set to anything.
#[derive(Clone, Debug)]
pub struct Vdi {
    pub version: Version,
    pub image_type: u32,
    pub flags: u32,
    pub size: u64,
    pub block_size: u32,
    pub block_extra: u32,
    pub blocks: Vec<Block>,
    /// Map entries behind those of the disk's blocks.
    pub spare: u32,
    /// The order in which data blocks are stored: the n-th data block goes to place `order[n]`;
    /// empty is the natural order.
    pub order: Vec<u32>,
    /// Where the map and the data begin (version 0.2 has no choice). Data before the map's end is
    /// moved behind it.
    pub map_offset: u32,
    pub data_align: u32,
    pub create: [u8; 16],
    pub modify: [u8; 16],
    pub parent: [u8; 16],
    pub parent_modify: [u8; 16],
    /// Bytes that the last block of the file is short of a whole one.
    pub cut_last: u32,
}

/// A UUID made of one byte.
pub fn uuid(byte: u8) -> [u8; 16] {
    [byte; 16]
}

impl Vdi {
    /// An image of `size` bytes, dynamic, all blocks free.
    pub fn new(size: u64, block_size: u32) -> Self {
        let count = size.div_ceil(u64::from(block_size)) as usize;
        Vdi {
            version: Version::V1Plus,
            image_type: 1,
            flags: 0,
            size,
            block_size,
            block_extra: 0,
            blocks: vec![Block::Free; count],
            spare: 0,
            order: Vec::new(),
            map_offset: 0x200,
            data_align: 512,
            create: uuid(0xc1),
            modify: uuid(0xd1),
            parent: uuid(0),
            parent_modify: uuid(0),
            cut_last: 0,
        }
    }

    /// Makes it a differencing image over `parent`.
    pub fn over(mut self, parent: &Vdi, create: u8) -> Self {
        self.image_type = 4;
        self.create = uuid(create);
        self.modify = uuid(create ^ 0xff);
        self.parent = parent.create;
        self.parent_modify = parent.modify;
        self
    }

    /// Puts data into a block.
    pub fn with(mut self, block: usize, content: Block) -> Self {
        self.blocks[block] = content;
        self
    }

    /// Entries of the map.
    pub fn map(&self) -> Vec<u32> {
        let mut stored = 0;
        let mut entry = |block: &Block| match block {
            Block::Free => 0xffff_ffff,
            Block::Zero => 0xffff_fffe,
            Block::Data(_) => {
                let place = self.order.get(stored as usize).copied().unwrap_or(stored);
                stored += 1;
                place
            }
        };
        let mut map: Vec<u32> = self.blocks.iter().map(&mut entry).collect();
        map.extend(std::iter::repeat_n(0xffff_ffff, self.spare as usize));
        map
    }

    /// Where the map begins.
    pub fn map_start(&self) -> usize {
        if self.version == Version::V0 { 0x1a4 } else { self.map_offset as usize }
    }

    /// Where block 0 of the file begins.
    pub fn data_start(&self) -> usize {
        let map_end = self.map_start() + 4 * self.map().len();
        match self.version {
            Version::V0 => map_end,
            _ => map_end.next_multiple_of(self.data_align as usize),
        }
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let map = self.map();
        let mut file = self.header(map.len() as u32);
        file.resize(self.map_start(), 0);
        map.iter().for_each(|entry| file.extend(entry.to_le_bytes()));
        file.resize(self.data_start(), 0);
        let stride = (self.block_extra + self.block_size) as usize;
        let mut last = self.data_start();
        for (block, entry) in self.blocks.iter().zip(&map) {
            let Block::Data(data) = block else { continue };
            let start = self.data_start() + *entry as usize * stride;
            let end = start + stride;
            if file.len() < end {
                file.resize(end, 0);
            }
            file[start..start + self.block_extra as usize].fill(0xee);
            let data_start = start + self.block_extra as usize;
            file[data_start..data_start + data.len()].copy_from_slice(data);
            last = last.max(end);
        }
        file.truncate(last - self.cut_last as usize);
        file
    }

    fn header(&self, entries: u32) -> Vec<u8> {
        let allocated = self.blocks.iter().filter(|b| matches!(b, Block::Data(_))).count() as u32;
        let mut h = vec![0; 0x48];
        h[..16].copy_from_slice(b"<<< a test >>>\n\0");
        h[0x40..0x44].copy_from_slice(&0xbeda_107f_u32.to_le_bytes());
        let version: u32 = if self.version == Version::V0 { 2 } else { 0x0001_0001 };
        h[0x44..0x48].copy_from_slice(&version.to_le_bytes());
        let u32s = |h: &mut Vec<u8>, words: &[u32]| {
            words.iter().for_each(|word| h.extend(word.to_le_bytes()));
        };
        let header_len = match self.version {
            Version::V0 => 0,
            Version::V1 => 0x180,
            Version::V1Plus => 0x190,
        };
        if self.version != Version::V0 {
            u32s(&mut h, &[header_len]);
        }
        u32s(&mut h, &[self.image_type, self.flags]);
        h.extend([0; 256]);
        if self.version != Version::V0 {
            u32s(&mut h, &[self.map_start() as u32, self.data_start() as u32]);
        }
        u32s(&mut h, &[0, 0, 0, 512]);
        if self.version != Version::V0 {
            u32s(&mut h, &[0]);
        }
        h.extend(self.size.to_le_bytes());
        u32s(&mut h, &[self.block_size]);
        if self.version != Version::V0 {
            u32s(&mut h, &[self.block_extra]);
        }
        u32s(&mut h, &[entries, allocated]);
        [self.create, self.modify, self.parent].iter().for_each(|uuid| h.extend(uuid));
        if self.version != Version::V0 {
            h.extend(self.parent_modify);
        }
        if self.version == Version::V1Plus {
            u32s(&mut h, &[0, 0, 0, 512]);
        }
        h
    }

    /// The guest's disk, over the parent's if there is one.
    pub fn raw(&self, parent: Option<&[u8]>) -> Vec<u8> {
        let size = (self.size - self.size % 512) as usize;
        let mut raw = vec![0; size];
        if let Some(parent) = parent {
            let common = size.min(parent.len());
            raw[..common].copy_from_slice(&parent[..common]);
        }
        for (number, block) in self.blocks.iter().enumerate() {
            let start = (number * self.block_size as usize).min(size);
            let end = (start + self.block_size as usize).min(size);
            match block {
                Block::Free => {}
                Block::Zero => raw[start..end].fill(0),
                Block::Data(data) => {
                    raw[start..end].fill(0);
                    let len = data.len().min(end - start);
                    raw[start..start + len].copy_from_slice(&data[..len]);
                }
            }
        }
        raw
    }
}
