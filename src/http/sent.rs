//! What a request sends, read whole and bounded.

use crate::base::{Error, Kind, Result};
use actix_web::web::{Bytes, Payload};
use serde::de::DeserializeOwned;

/// The body; `what` names it in errors.
///
/// # Errors
/// `long-body` where it has more than `most` bytes; no more of it is read.
pub async fn body(payload: Payload, what: &str, most: usize) -> Result<Bytes> {
    match payload.to_bytes_limited(most).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(fault)) => {
            Err(Error::invalid("unreadable-body", "body", "the body cannot be read").with_cause(fault))
        }
        Err(_) => {
            let detail = format!("{what} may have at most {most} bytes");
            Err(Error::new(Kind::TooLarge, "long-body", detail).with_parameter("body"))
        }
    }
}

/// The JSON object that a body is; `shape` tells in errors what it is to look like.
pub fn object<T: DeserializeOwned>(body: &[u8], shape: &str) -> Result<T> {
    let malformed = |fault: &dyn std::fmt::Display| {
        let detail = format!("the body must be a JSON object: {shape}");
        Error::invalid("malformed-body", "body", detail).with_cause(fault)
    };
    // A list would do for serde.
    if body.iter().find(|it| !it.is_ascii_whitespace()) != Some(&b'{') {
        return Err(malformed(&"no object"));
    }
    serde_json::from_slice(body).map_err(|fault| malformed(&fault))
}

/// [`object`], where sending nothing asks for what is usual.
pub fn object_or_default<T: DeserializeOwned + Default>(body: &[u8], shape: &str) -> Result<T> {
    if body.trim_ascii().is_empty() { Ok(T::default()) } else { object(body, shape) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn objects_are_objects() {
        let read = |text: &str| object::<BTreeMap<String, u8>>(text.as_bytes(), "{\"a\": 1}");
        assert_eq!(read(" {\"a\": 1}\n").unwrap()["a"], 1);
        assert!(object_or_default::<BTreeMap<String, u8>>(b" \n", "{}").unwrap().is_empty());
        assert!(object_or_default::<BTreeMap<String, u8>>(b" []", "{}").is_err());
        for bad in ["", " ", "[]", "[[\"a\", 1]]", "{", "null", "{\"a\": \"b\"}", "{} {}"] {
            let error = read(bad).unwrap_err();
            assert_eq!((error.code, error.parameter.as_deref()), ("malformed-body", Some("body")), "{bad}");
            assert!(error.detail.ends_with("{\"a\": 1}"));
        }
    }
}
