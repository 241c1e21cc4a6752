//! Style and script of the pages: files of this program, under names that change when they do.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, web};

/// A file: its name, its media type, itself, and whether its name has its version.
type File = (&'static str, &'static str, &'static [u8], bool);

/// All of them.
const FILES: [File; 5] = [
    ("pico-2.1.1.min.css", "text/css; charset=utf-8", include_bytes!("../assets/pico-2.1.1.min.css"), true),
    ("htmx-2.0.11.min.js", "text/javascript; charset=utf-8", include_bytes!("../assets/htmx-2.0.11.min.js"), true),
    ("bellhop.svg", "image/svg+xml", include_bytes!("../assets/bellhop.svg"), false),
    ("bellhop.css", "text/css; charset=utf-8", include_bytes!("../assets/bellhop.css"), false),
    ("bellhop.js", "text/javascript; charset=utf-8", include_bytes!("../assets/bellhop.js"), false),
];

async fn asset(name: web::Path<String>) -> HttpResponse {
    let Some((_, media_type, bytes, is_versioned)) = FILES.into_iter().find(|(known, ..)| *known == name.as_str())
    else {
        return HttpResponse::NotFound().finish();
    };
    let kept = if is_versioned { "public, max-age=31536000, immutable" } else { "no-cache" };
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CACHE_CONTROL, kept))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(bytes)
}

/// Registers them.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config.service(web::resource("/assets/{name}").route(web::get().to(asset)).route(web::head().to(asset)));
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// What is not ours is as it was published: `assets/README.md` has version, licence and digest.
    #[test]
    fn what_comes_from_elsewhere_is_what_its_table_says() {
        let table = include_str!("../assets/README.md");
        for (name, _, bytes, is_versioned) in FILES {
            let row = table.lines().find(|line| line.contains(&format!("`{name}`"))).expect(name);
            let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(row.contains(&digest), is_versioned, "{name} is {digest}");
        }
    }
}
