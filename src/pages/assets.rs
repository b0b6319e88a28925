//! The style sheet, the script and the icon, under names that change with their content: a browser asks for each once.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::header,
    web::{Bytes, Path},
};
use sha2::{Digest, Sha256};

use super::answer::Refusal;
use crate::{domain::signature::hex, http::problem::Problem};

/// A file that is part of the binary.
struct Asset {
    path: String,
    media: &'static str,
    content: &'static str,
}

impl Asset {
    /// Eight digits of the content's hash are enough to tell two versions apart.
    fn new(stem: &str, extension: &str, media: &'static str, content: &'static str) -> Self {
        let digits = hex(&Sha256::digest(content)[..4]);
        Self { path: format!("/assets/{stem}-{digits}.{extension}"), media, content }
    }
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("script", "js", "text/javascript; charset=utf-8", include_str!("assets/script.js")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// Where the style sheet is.
pub(super) fn style() -> &'static str {
    &STYLE.path
}

/// Where the script is.
pub(super) fn script() -> &'static str {
    &SCRIPT.path
}

/// Where the icon is.
pub(super) fn icon() -> &'static str {
    &ICON.path
}

/// One of them, to be kept for a year.
pub(super) async fn serve(name: Path<String>) -> Result<HttpResponse, Refusal> {
    let path = format!("/assets/{name}");
    let asset = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.path == path);
    let asset = asset.ok_or_else(|| Problem::not_found("There is no such file."))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, asset.media))
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        // An icon that is opened by itself is a document.
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'"))
        .body(Bytes::from_static(asset.content.as_bytes())))
}
