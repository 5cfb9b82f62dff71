//! A name for a run that nobody named: `brave-otter-412`, in the manner of MLflow.

const HOW: [&str; 16] = [
    "brave", "bright", "calm", "clever", "eager", "fair", "gentle", "grand", "happy", "keen", "kind",
    "lucky", "merry", "proud", "quick", "wise",
];
const WHO: [&str; 16] = [
    "ant", "bear", "crane", "deer", "eel", "finch", "goat", "hare", "ibis", "lark", "mole", "newt", "otter",
    "pike", "seal", "wren",
];

/// A name of at most 20 characters.
pub(super) fn random() -> String {
    let pick = |words: [&'static str; 16]| words[usize::from(rand::random::<u8>() % 16)];
    format!("{}-{}-{}", pick(HOW), pick(WHO), rand::random::<u16>() % 1000)
}
