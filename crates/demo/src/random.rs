//! Numbers that look random and are the same each time.

use crate::json::Json;

/// `SplitMix64`: a few lines, and good enough for ids that only have to differ.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 32 hexadecimal digits, as a UUID without its dashes.
    pub(crate) fn hex(&mut self) -> String {
        format!("{:032x}", self.wide())
    }

    pub(crate) fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    /// A number from `from` on, below `to`.
    pub(crate) fn between(&mut self, from: u32, to: u32) -> u32 {
        let width = u64::from(to.saturating_sub(from)).max(1);
        from + u32::try_from(self.next() % width).unwrap_or_default()
    }

    /// From -1 to 1, with so many decimals.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.between(0, 2_000_001)) / 1e6 - 1.0
    }

    /// What an embedding model answers, if it had few dimensions.
    pub(crate) fn embedding(&mut self) -> Json {
        Json::list((0..16).map(|_| (self.unit() * 1e6).round() / 1e6))
    }

    pub(crate) fn one_of<T: Copy>(&mut self, things: &[T]) -> Option<T> {
        let count = u32::try_from(things.len()).unwrap_or(u32::MAX);
        things.get(self.between(0, count) as usize).copied()
    }
}
