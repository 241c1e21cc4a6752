//! Recordings as stereo WAV files: the caller left, the assistant right.
//!
//! Invariant: nothing here waits on the thread that paces audio: chunks go through a bounded queue to one writer thread, and
//! what does not fit is dropped with a count. A file has its name without `.part` when it is whole.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use hound::{SampleFormat, WavSpec, WavWriter};

/// Chunks that may wait for the writer: about as many seconds of calls.
pub const QUEUE_MAX: usize = 4096;

/// A folder that recordings are written to.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    orders: SyncSender<Order>,
}

enum Order {
    Open { name: String, path: PathBuf, sample_rate: u32 },
    Write { name: String, samples: Vec<i16> },
    Close { name: String },
}

impl Folder {
    /// Makes sure that the folder is there and can be written to, and starts its writer.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(path)?;
        let probe = path.join(".bellhop");
        File::create(&probe)?;
        fs::remove_file(probe)?;
        let (orders, waiting) = sync_channel(QUEUE_MAX);
        std::thread::Builder::new().name("recordings".to_owned()).spawn(move || write(&waiting))?;
        Ok(Self { path: path.to_owned(), orders })
    }

    /// Begins a recording; `name` becomes the file's.
    pub fn begin(&self, name: &str, sample_rate: u32) -> Recording {
        let path = self.path.join(format!("{name}.wav"));
        let order = Order::Open { name: name.to_owned(), path, sample_rate };
        let lost = u64::from(self.orders.try_send(order).is_err());
        Recording { name: name.to_owned(), orders: self.orders.clone(), lost }
    }
}

/// Deletes the recordings in a folder whose names begin like this and that are older; returns how many.
pub fn sweep(folder: &Path, beginning: &str, keep: Duration) -> std::io::Result<usize> {
    let mut gone = 0;
    for file in fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name();
        let theirs = name.to_str().is_some_and(|name| name.starts_with(beginning) && name.ends_with(".wav"));
        let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
        if theirs && age > keep {
            fs::remove_file(file.path())?;
            gone += 1;
        }
    }
    Ok(gone)
}

/// One call's recording; dropping it closes the file.
#[derive(Debug)]
pub struct Recording {
    name: String,
    orders: SyncSender<Order>,
    lost: u64,
}

impl Recording {
    /// Hands over a chunk: left, right, left, right.
    pub fn write(&mut self, samples: Vec<i16>) {
        let order = Order::Write { name: self.name.clone(), samples };
        self.lost += u64::from(self.orders.try_send(order).is_err());
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if self.lost > 0 {
            tracing::warn!(recording = self.name, chunks = self.lost, "a recording has gaps: the disk is too slow");
        }
        // The writer may be behind; a file that is never closed keeps its `.part`.
        let _ = self.orders.try_send(Order::Close { name: std::mem::take(&mut self.name) });
    }
}

type Open = (WavWriter<BufWriter<File>>, PathBuf);

fn write(waiting: &Receiver<Order>) {
    let mut open: HashMap<String, Open> = HashMap::new();
    while let Ok(order) = waiting.recv() {
        let (name, outcome) = match order {
            Order::Open { name, path, sample_rate } => {
                let made = begin(&path, sample_rate).map(|writer| drop(open.insert(name.clone(), (writer, path))));
                (name, made)
            }
            Order::Write { name, samples } => {
                let written = open.get_mut(&name).map_or(Ok(()), |(writer, _)| append(writer, &samples));
                (name, written)
            }
            Order::Close { name } => {
                let closed = open.remove(&name).map_or(Ok(()), close);
                (name, closed)
            }
        };
        if let Err(error) = outcome {
            tracing::error!(recording = name, %error, "a recording could not be written");
            open.remove(&name);
        }
    }
}

fn part(path: &Path) -> PathBuf {
    path.with_extension("wav.part")
}

fn begin(path: &Path, sample_rate: u32) -> Result<WavWriter<BufWriter<File>>, hound::Error> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part(path))?;
    let spec = WavSpec { channels: 2, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    WavWriter::new(BufWriter::new(file), spec)
}

fn append(writer: &mut WavWriter<BufWriter<File>>, samples: &[i16]) -> Result<(), hound::Error> {
    samples.iter().try_for_each(|sample| writer.write_sample(*sample))
}

fn close((writer, path): Open) -> Result<(), hound::Error> {
    writer.finalize()?;
    Ok(fs::rename(part(&path), path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_a_stereo_file_that_only_we_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("bellhop-recording-{}", std::process::id()));
        let folder = Folder::open(&path).expect("a folder");
        let mut recording = folder.begin("call", 8000);
        recording.write(vec![1, 2, 3, 4]);
        recording.write(vec![5, 6]);
        drop(recording);
        let file = path.join("call.wav");
        while !file.exists() {
            std::thread::yield_now();
        }
        let mut reader = hound::WavReader::open(&file).expect("a WAV file");
        assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 8000));
        assert_eq!(reader.samples::<i16>().map(|s| s.expect("a sample")).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(path).expect("removed");
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_told_at_once() {
        assert!(Folder::open(Path::new("/proc/recordings")).is_err());
    }

    #[test]
    fn old_recordings_of_a_tenant_are_deleted_and_no_others() {
        let folder = std::env::temp_dir().join(format!("bellhop-sweep-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let names = ["acme-1-a.wav", "acme-2-b.wav.part", "other-1-c.wav"];
        names.iter().for_each(|name| fs::write(folder.join(name), "").expect("written"));
        assert_eq!(sweep(&folder, "acme-", Duration::from_secs(3600)).expect("swept"), 0);
        let old = std::time::SystemTime::now() - Duration::from_secs(7200);
        for name in names {
            File::open(folder.join(name)).and_then(|file| file.set_modified(old)).expect("aged");
        }
        assert_eq!(sweep(&folder, "acme-", Duration::from_secs(3600)).expect("swept"), 1);
        assert!(!folder.join("acme-1-a.wav").exists() && folder.join("other-1-c.wav").exists());
        fs::remove_dir_all(folder).expect("gone");
    }
}
