//! Sends which layer a probe has reached to a watcher, such as the live lines of `verify`.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use crate::report::LayerName;

/// A layer that a probe has started. At most six for each hop, whose number is limited.
#[derive(Clone, Debug)]
pub struct LayerStarted {
    /// The target's name.
    pub target: Arc<str>,
    /// 0 for the first request, then one more for each redirect.
    pub hop: usize,
    pub layer: LayerName,
}

/// The progress of one probe.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    target: Arc<str>,
    hop: usize,
    watcher: Option<UnboundedSender<LayerStarted>>,
}

impl Progress {
    pub fn new(target: &str, watcher: Option<&UnboundedSender<LayerStarted>>) -> Self {
        Self {
            target: target.into(),
            hop: 0,
            watcher: watcher.cloned(),
        }
    }

    pub fn next_hop(&mut self) {
        self.hop += 1;
    }

    pub fn start(&self, layer: LayerName) {
        if let Some(watcher) = &self.watcher {
            // The watcher is gone: nobody is interested any more.
            let _ = watcher.send(LayerStarted {
                target: Arc::clone(&self.target),
                hop: self.hop,
                layer,
            });
        }
    }
}
