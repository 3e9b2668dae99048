import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.zip.GZIPInputStream;

/**
 * Unpacks gzip files as a Java server does that receives them over a network, and prints length
 * and SHA-256 of what came out, one line a file. Run as: java Check.java FILE...
 */
public class Check {
    /** Hands out 1 to 7 bytes at a time and never promises more, as a slow connection may. */
    static class ShortReads extends FilterInputStream {
        private final byte[] ahead = new byte[1 << 16];
        private int from;
        private int to;
        private int turn;

        ShortReads(InputStream in) {
            super(in);
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            if (length == 0) {
                return 0;
            }
            if (from == to) {
                from = 0;
                to = Math.max(0, in.read(ahead));
                if (to == 0) {
                    return -1;
                }
            }
            turn = turn % 7 + 1;
            int count = Math.min(Math.min(turn, length), to - from);
            System.arraycopy(ahead, from, into, offset, count);
            from += count;
            return count;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int available() {
            return 0;
        }
    }

    public static void main(String[] files) throws Exception {
        for (String file : files) {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            long length = 0;
            byte[] buffer = new byte[1 << 16];
            try (InputStream raw = Files.newInputStream(Path.of(file));
                    InputStream in = new GZIPInputStream(new ShortReads(raw))) {
                int count;
                while ((count = in.read(buffer)) > 0) {
                    digest.update(buffer, 0, count);
                    length += count;
                }
            }
            System.out.println(length + " " + HexFormat.of().formatHex(digest.digest()));
        }
    }
}
