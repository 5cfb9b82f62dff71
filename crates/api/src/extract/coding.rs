//! Which content coding a reader likes best (RFC 9110, 12.5.3).

use http::{HeaderMap, header};
use service::Coding;

/// The coding that the reader likes best; of equals, the one that is unpacked fastest. `None` where no coding is wanted, or
/// none more than the plain text.
pub(crate) fn preferred(headers: &HeaderMap) -> Option<Coding> {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let wishes: Vec<(&str, f32)> = texts.flat_map(|text| text.split(',')).map(wish).collect();
    let named = |word: &str| {
        let of_word = wishes.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        of_word.map(|(_, weight)| *weight)
    };
    let weight = |coding: Coding| named(coding.as_str()).or_else(|| named("*")).unwrap_or(0.0);
    let plain = named("identity").unwrap_or(0.0);
    Coding::ALL
        .into_iter()
        .filter(|coding| weight(*coding) > 0.0 && weight(*coding) >= plain)
        .max_by(|one, other| weight(*one).total_cmp(&weight(*other)))
}

/// `gzip;q=0.8` as its name and its weight, which is 1 unless it says otherwise. What cannot be read is no wish.
fn wish(text: &str) -> (&str, f32) {
    let Some((name, parameters)) = text.split_once(';') else {
        return (text.trim(), 1.0);
    };
    let weight = parameters.trim().strip_prefix(['q', 'Q']).map(str::trim_start);
    let weight = weight.and_then(|weight| weight.strip_prefix('=')?.trim().parse().ok());
    (name.trim(), weight.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_coding_is_told() {
        use Coding::{Brotli, Gzip, Zstd};
        for (text, expected) in [
            ("", None),
            ("gzip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip, deflate, br", Some(Brotli)),
            ("zstd;q=0.5, GZIP", Some(Gzip)),
            ("br ; Q = 0.9 ,gzip;q=0.8", Some(Brotli)),
            ("zstd;q=0", None),
            ("*", Some(Zstd)),
            ("*, zstd;q=0", Some(Brotli)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
            ("deflate, compress", None),
            ("gzip;q=NaN", None),
            ("gzip;q=0,5", None),
            ("gzip;q=0;x=1, br;q=0.1", Some(Brotli)),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, text.parse().unwrap())]);
            assert_eq!(preferred(&headers), expected, "{text}");
        }
        assert_eq!(preferred(&HeaderMap::new()), None);
    }
}
