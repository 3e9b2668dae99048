//! x
use crate::error::Result;
/// x
pub fn check_key_line(line: &str) -> Result<String> {
    Ok(line.to_owned())
}
