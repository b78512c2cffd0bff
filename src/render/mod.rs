//! Presentation: metrics, text, JSON, HTML. Nothing here measures or decides.

use crate::report::LayerName;

pub mod browser;
pub mod evidence;
mod facts;
pub mod html;
pub mod json;
pub mod live;
pub mod metrics;
pub mod module;
mod overview;
mod page;
mod readiness;
pub mod setup;
pub mod status;
pub mod summary;
pub mod text;
pub mod timetable;
pub mod watch;

pub use page::Width;

/// A layer as readers see it; labels and JSON use its code.
fn layer_name(layer: LayerName) -> &'static str {
    match layer {
        LayerName::Dns => "DNS",
        LayerName::Tcp => "TCP",
        LayerName::Proxy => "proxy",
        LayerName::Tls => "TLS",
        LayerName::Http => "HTTP",
        LayerName::Page => "page",
    }
}
