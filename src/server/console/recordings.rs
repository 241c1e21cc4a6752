//! Recordings that lie on this server, for who listens.
//!
//! Invariant: a recording is found by its tenant and the name of its call alone, in the folders of that tenant; the disk is waited for on
//! threads that are there to wait.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bellhop_adapters::recording;
use bellhop_connect::ports::Pending;
use bellhop_console::ports::{Recording, Recordings};

/// Those of all tenants that are served.
pub(super) struct OnDisk {
    /// The folders of a tenant by its name.
    pub(super) folders_of: FoldersOf,
}

/// Tells the folders that a tenant's calls are recorded to.
pub(super) type FoldersOf = Box<dyn Fn(&str) -> Vec<PathBuf> + Send + Sync>;

impl Recordings for OnDisk {
    fn find(&self, tenant: String, call: String) -> Pending<io::Result<Option<Box<dyn Recording>>>> {
        let folders = (self.folders_of)(&tenant);
        Box::pin(waited_for(move || {
            for folder in folders {
                let all = match recording::list(&folder) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    all => all?,
                };
                let is_it = |(name, path): &(recording::Name, PathBuf)| {
                    // One that is still being written has another name.
                    name.tenant == tenant && name.call == call && path.extension().is_some_and(|end| end == "wav")
                };
                if let Some((_, path)) = all.into_iter().find(is_it) {
                    let file = File::open(path)?;
                    let bytes = file.metadata()?.len();
                    return Ok(Some(Box::new(Whole { file: Arc::new(file), bytes }) as Box<dyn Recording>));
                }
            }
            Ok(None)
        }))
    }
}

/// A recording; its file stays readable if it is deleted meanwhile.
struct Whole {
    file: Arc<File>,
    bytes: u64,
}

impl Recording for Whole {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&self, at: u64, bytes: usize) -> Pending<io::Result<Vec<u8>>> {
        let file = Arc::clone(&self.file);
        Box::pin(waited_for(move || {
            let mut piece = vec![0; bytes];
            let read = file.read_at(&mut piece, at)?;
            piece.truncate(read);
            Ok(piece)
        }))
    }
}

async fn waited_for<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(io::Error::other("reading it broke down")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_whole_recording_of_ones_own_call_is_found_and_read_from_any_place() {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        for (name, text) in
            [("acme-1-00a.wav", "0123456789"), ("acme-2-00b.wav.part", "x"), ("acme-eu-1-00c.wav", "x"), ("x.wav", "x")]
        {
            std::fs::write(folder.join(name), text).expect("written");
        }
        let folders = vec![folder.join("never made"), folder.to_path_buf()];
        let on_disk = OnDisk { folders_of: Box::new(move |_| folders.clone()) };
        let find = |tenant: &str, call: &str| on_disk.find(tenant.to_owned(), call.to_owned());
        for (tenant, call) in [("acme", "00b"), ("acme", "00c"), ("eu", "00c"), ("acme", "../00a"), ("other", "00a")] {
            assert!(find(tenant, call).await.expect("read").is_none(), "{tenant} {call}");
        }
        let recording = find("acme", "00a").await.expect("read").expect("there");
        assert_eq!((recording.bytes(), recording.read(8, 9).await.expect("read")), (10, b"89".to_vec()));
        assert_eq!(recording.read(10, 9).await.expect("read"), b"");
    }
}
