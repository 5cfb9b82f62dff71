//! A piece of a line: our own words, or others' made harmless.

/// The longest text of others that stands as inline code, in characters, unless said otherwise.
const CODE_CHARS: usize = 160;

/// Breaks what readers would make a link of without being told to, and is not seen.
const WORD_JOINER: char = '\u{2060}';

/// A piece of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Our own words and figures, which may hold Markdown.
    pub fn own(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// Others' text as inline code: on one line, cut when it is long. Nothing in it is read as Markdown or made a link.
    pub fn code(others: &str) -> Self {
        Self::excerpt(others, CODE_CHARS)
    }

    /// The same, cut at so many characters.
    pub fn excerpt(others: &str, chars: usize) -> Self {
        // In a table a bar ends the cell, even within code, and no escape of it holds everywhere: one that looks the same.
        let line = one_line(others, chars).replace('|', "∣");
        if line.is_empty() {
            return Self::own("*empty*");
        }
        let ticks = "`".repeat(longest_run(&line, '`') + 1);
        let pad = if line.starts_with('`') || line.ends_with('`') {
            " "
        } else {
            ""
        };
        Self(format!("{ticks}{pad}{line}{pad}{ticks}"))
    }

    /// Others' words as running text, cut at so many characters.
    pub fn prose(others: &str, chars: usize) -> Self {
        let line = one_line(others, chars);
        let mut text = String::with_capacity(line.len() + line.len() / 8);
        let mut at_start = true;
        let mut is_number = true;
        for (index, letter) in line.char_indices() {
            match letter {
                '&' => text.push_str("&amp;"),
                '<' => text.push_str("&lt;"),
                '>' => text.push_str("&gt;"),
                '\\' | '`' | '*' | '_' | '[' | ']' | '{' | '}' | '#' | '|' | '~' | '$' | '^' => {
                    text.extend(['\\', letter]);
                }
                // Marks of lists and underlines of headings count at the start alone.
                '-' | '+' | '=' if at_start => text.extend(['\\', letter]),
                '.' | ')' if is_number && !at_start => text.extend(['\\', letter]),
                '@' => text.extend([letter, WORD_JOINER]),
                ':' if line[index..].starts_with("://") => text.extend([letter, WORD_JOINER]),
                '.' if ends_with_www(&line[..index]) => text.extend([WORD_JOINER, letter]),
                _ => text.push(letter),
            }
            is_number &= letter.is_ascii_digit();
            at_start = false;
        }
        Self(text)
    }

    /// A link to one of our own addresses.
    #[must_use]
    pub fn link(label: &Self, url: &str) -> Self {
        use std::fmt::Write;
        let mut target = String::with_capacity(url.len());
        for byte in url.bytes() {
            match byte {
                b'!' | b'#'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~'
                    if !matches!(byte, b'(' | b')') =>
                {
                    target.push(char::from(byte));
                }
                // Writing to a text does not fail.
                _ => {
                    let _ = write!(target, "%{byte:02X}");
                }
            }
        }
        Self(format!("[{}]({target})", label.0))
    }

    /// Another piece after this one.
    #[must_use]
    pub fn and(mut self, next: impl Into<Self>) -> Self {
        let next = next.into();
        // Two pieces of code must not run into one.
        if self.0.ends_with('`') && next.0.starts_with('`') {
            self.0.push(' ');
        }
        self.0.push_str(&next.0);
        self
    }

    /// Pieces with this between them.
    pub fn joined(pieces: impl IntoIterator<Item = Self>, between: &'static str) -> Self {
        let joined = pieces
            .into_iter()
            .reduce(|all, piece| all.and(between).and(piece));
        joined.unwrap_or_default()
    }

    /// The Markdown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Text {
    fn from(words: &'static str) -> Self {
        Self::own(words)
    }
}

fn ends_with_www(before: &str) -> bool {
    let tail = before.as_bytes();
    tail.len() >= 3 && tail[tail.len() - 3..].eq_ignore_ascii_case(b"www")
}

/// The text on one line, without what cannot be seen or turns text around, cut at so many characters.
pub(super) fn one_line(text: &str, chars: usize) -> String {
    let mut line = String::with_capacity(text.len().min(4 * chars));
    let mut count = 0;
    let mut gap = false;
    for letter in text.chars() {
        if letter.is_whitespace() || letter.is_control() {
            gap = count > 0;
            continue;
        }
        if is_unseen(letter) {
            continue;
        }
        if count + usize::from(gap) >= chars {
            line.push('…');
            break;
        }
        if std::mem::take(&mut gap) {
            line.push(' ');
            count += 1;
        }
        line.push(letter);
        count += 1;
    }
    line
}

/// Marks of direction, joiners and the like: they show nothing, and may show the rest wrongly.
fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|letter| letter != of).map(str::len).max().unwrap_or(0)
}
