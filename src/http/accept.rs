//! `Accept` (RFC 9110 §12.5.1): which of some forms a client likes best.

use crate::base::{Error, Kind, Result};
use actix_web::HttpRequest;
use actix_web::http::header;

/// One range of media types, and how much it is liked, in thousandths.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    weight: u32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut words = text.split(';').map(str::trim);
        let (kind, subtype) = words.next()?.split_once('/')?;
        let weight = words.find_map(|word| {
            let (name, value) = word.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(0.0))
        });
        let weight = (weight.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u32;
        Some(Self { kind: kind.trim(), subtype: subtype.trim(), weight })
    }

    /// How closely it names a type: 2 by name, 1 by kind, 0 as anything.
    fn names(&self, media_type: &str) -> Option<u32> {
        let (kind, subtype) = media_type.split_once('/')?;
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        match (self.kind, self.subtype) {
            ("*", "*") => Some(0),
            (mine, "*") if same(mine, kind) => Some(1),
            (mine, other) if same(mine, kind) && same(other, subtype) => Some(2),
            _ => None,
        }
    }
}

/// The form a client likes best of `forms`, each with its media type. Of those it likes as much, one that it names comes
/// before one that it takes along with others, and then the earlier one: of `named` where it is named, of `forms` else.
pub fn best<T: Copy + PartialEq>(accept: Option<&str>, forms: &[(&str, T)], named: &[T]) -> Option<T> {
    let Some(accept) = accept else { return forms.first().map(|it| it.1) };
    let ranges: Vec<Range<'_>> = accept.split(',').filter_map(Range::parse).collect();
    let liked = forms.iter().enumerate().filter_map(|(at, (media_type, form))| {
        // The range that names it most closely counts (§12.5.1).
        let range = ranges.iter().filter_map(|it| Some((it.names(media_type)?, it.weight)));
        let (closeness, weight) = range.max_by_key(|it| it.0)?;
        let by_name = closeness == 2;
        let rank = if by_name { named.iter().position(|it| it == form).unwrap_or(at) } else { at };
        (weight > 0).then_some(((weight, by_name, std::cmp::Reverse(rank)), *form))
    });
    liked.max_by_key(|it| it.0).map(|it| it.1)
}

/// As [`best`], from a request.
///
/// # Errors
/// [`Kind::NotAcceptable`], naming the forms there are.
pub fn negotiate<T: Copy + PartialEq>(request: &HttpRequest, forms: &[(&str, T)], named: &[T]) -> Result<T> {
    let headers: Vec<&str> =
        request.headers().get_all(header::ACCEPT).filter_map(|it| it.to_str().ok()).collect();
    let accept = headers.join(",");
    let accept = (!headers.is_empty()).then_some(&*accept);
    best(accept, forms, named).ok_or_else(|| {
        let types: Vec<&str> = forms.iter().map(|it| it.0).collect();
        let detail = format!("Accept takes none of the forms there are: {}", types.join(", "));
        Error::new(Kind::NotAcceptable, "not-acceptable", detail).with_parameter("Accept")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_form_is_chosen() {
        let forms =
            [("image/jpeg", "jpg"), ("image/png", "png"), ("image/webp", "webp"), ("image/avif", "avif")];
        let named = ["webp", "avif", "jpg", "png"];
        for (accept, form) in [
            (None, Some("jpg")),
            (Some("*/*"), Some("jpg")),
            (Some("image/*"), Some("jpg")),
            // Chromium's, Firefox's and Safari's words for pictures.
            (Some("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"), Some("webp")),
            (Some("image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"), Some("webp")),
            (Some("image/png"), Some("png")),
            (Some("image/png;q=0.5, image/avif;q=0.9"), Some("avif")),
            (Some("image/*;q=0.5, image/jpeg;q=0"), Some("png")),
            (Some("image/*, image/jpeg;q=0.1, image/png;q=0"), Some("webp")),
            (Some("IMAGE/PNG ; Q=1"), Some("png")),
            (Some("text/html"), None),
            (Some("image/jpeg;q=0"), None),
            (Some("image/jpeg;q=x"), None),
            (Some(""), None),
            (Some("nonsense"), None),
        ] {
            assert_eq!(best(accept, &forms, &named), form, "{accept:?}");
        }
    }
}
