//! Recordings as stereo WAV files: the caller left, the assistant right.
//!
//! Invariant: nothing here waits on the thread that paces audio: chunks go through a bounded queue to one writer thread, and
//! what does not fit is dropped with a count. A file has its name without `.part` when it is whole.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use hound::{SampleFormat, WavSpec, WavWriter};
use tracing::Span;

/// Chunks that may wait for the writer: about as many seconds of calls.
pub(crate) const QUEUE_MAX: usize = 4096;

/// A folder that recordings are written to.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    orders: SyncSender<Order>,
}

enum Order {
    Open { name: String, path: PathBuf, sample_rate: u32, held: Weak<()>, span: Span },
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
        let held = Arc::new(());
        let span = Span::current();
        let order =
            Order::Open { name: name.to_owned(), path, sample_rate, held: Arc::downgrade(&held), span: span.clone() };
        let lost = u64::from(self.orders.try_send(order).is_err());
        Recording { name: name.to_owned(), orders: self.orders.clone(), lost, span, _held: held }
    }
}

/// A recording's name: tenant, when it began, call. It is the only place that knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Whose.
    pub tenant: String,
    /// Seconds since 1970.
    pub began_unix: u64,
    /// The call's name in the log.
    pub call: String,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.tenant, self.began_unix, self.call)
    }
}

impl Name {
    /// Reads a file's name, whole or still being written (`.part`). A tenant's name may have dashes in it.
    pub fn of_file(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".wav.part").or_else(|| name.strip_suffix(".wav"))?;
        let mut parts = stem.rsplitn(3, '-');
        let (call, began, tenant) = (parts.next()?, parts.next()?, parts.next()?);
        let hex = !call.is_empty() && call.bytes().all(|b| b.is_ascii_hexdigit());
        Some(Self { tenant: tenant.to_owned(), began_unix: began.parse().ok()?, call: call.to_owned() })
            .filter(|name| hex && !name.tenant.is_empty())
    }
}

/// The recordings in a folder, whole or not; what is none is passed over.
pub fn list(folder: &Path) -> std::io::Result<Vec<(Name, PathBuf)>> {
    let mut found = vec![];
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(Name::of_file) {
            found.push((name, path));
        }
    }
    Ok(found)
}

/// Deletes a tenant's recordings in a folder that are older, those that were never finished too; returns how many. One that
/// cannot be deleted does not keep the others.
pub fn sweep(folder: &Path, tenant: &str, keep: Duration) -> std::io::Result<usize> {
    let (mut gone, mut failed) = (0, None);
    for (_, path) in list(folder)?.into_iter().filter(|(name, _)| name.tenant == tenant) {
        // It may be gone since it was listed.
        let Ok(written) = fs::metadata(&path).and_then(|file| file.modified()) else { continue };
        if written.elapsed().unwrap_or_default() <= keep {
            continue;
        }
        match fs::remove_file(&path) {
            Ok(()) => gone += 1,
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(gone), Err)
}

/// One call's recording; dropping it closes the file.
#[derive(Debug)]
pub struct Recording {
    name: String,
    orders: SyncSender<Order>,
    lost: u64,
    /// The call's, for what is logged: the recording ends on the thread that paces audio, which is nobody's.
    span: Span,
    /// Gone with the call: the writer notices where the order to close found no place.
    _held: Arc<()>,
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
            let _in_call = self.span.enter();
            tracing::warn!(recording = self.name, chunks = self.lost, "a recording has gaps: the disk is too slow");
        }
        // The writer may be behind: it then closes what nobody holds any more.
        let _ = self.orders.try_send(Order::Close { name: std::mem::take(&mut self.name) });
    }
}

/// A file that is being written.
struct Open {
    writer: WavWriter<BufWriter<File>>,
    path: PathBuf,
    held: Weak<()>,
    span: Span,
}

/// How often files are looked for that nobody writes to any more.
const ABANDONED_LOOK_EVERY: Duration = Duration::from_secs(10);

fn write(waiting: &Receiver<Order>) {
    let mut open: HashMap<String, Open> = HashMap::new();
    let mut looked = Instant::now();
    loop {
        let order = match waiting.recv_timeout(ABANDONED_LOOK_EVERY) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // What waits comes first: the end of a recording may be among it.
        if order.is_none() || looked.elapsed() > ABANDONED_LOOK_EVERY * 6 {
            looked = Instant::now();
            close_abandoned(&mut open);
        }
        if let Some(order) = order {
            carry_out(order, &mut open);
        }
    }
}

fn carry_out(order: Order, open: &mut HashMap<String, Open>) {
    let span_of = |open: &HashMap<String, Open>, name: &str| open.get(name).map_or_else(Span::none, |o| o.span.clone());
    let (name, span, outcome) = match order {
        Order::Open { name, path, sample_rate, held, span } => {
            let made = begin(&path, sample_rate);
            let of_call = span.clone();
            let made = made.map(|writer| drop(open.insert(name.clone(), Open { writer, path, held, span })));
            (name, of_call, made)
        }
        Order::Write { name, samples } => {
            let written = open.get_mut(&name).map_or(Ok(()), |open| append(&mut open.writer, &samples));
            let span = span_of(open, &name);
            (name, span, written)
        }
        Order::Close { name } => {
            let span = span_of(open, &name);
            let closed = open.remove(&name).map_or(Ok(()), close);
            (name, span, closed)
        }
    };
    if let Err(error) = outcome {
        span.in_scope(|| tracing::error!(recording = name, %error, "a recording could not be written"));
        open.remove(&name);
    }
}

/// Closes the files whose calls are over and whose order to close found no place in the queue.
fn close_abandoned(open: &mut HashMap<String, Open>) {
    let abandoned: Vec<String> =
        open.iter().filter(|(_, open)| open.held.strong_count() == 0).map(|(name, _)| name.clone()).collect();
    for name in abandoned {
        carry_out(Order::Close { name }, open);
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

fn close(Open { writer, path, .. }: Open) -> Result<(), hound::Error> {
    writer.finalize()?;
    Ok(fs::rename(part(&path), path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_a_stereo_file_that_only_we_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let own = tempfile::tempdir().expect("a folder");
        let path = own.path();
        let folder = Folder::open(path).expect("a folder");
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
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_told_at_once() {
        assert!(Folder::open(Path::new("/proc/recordings")).is_err());
    }

    #[test]
    fn old_recordings_of_a_tenant_are_deleted_and_no_others() {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        // The second was never finished; the third is another tenant's, whose name begins alike; the last is no recording.
        let names = ["acme-1-00a.wav", "acme-2-00b.wav.part", "acme-eu-1-00c.wav", "other-1-00d.wav", "acme-notes.wav"];
        names.iter().for_each(|name| fs::write(folder.join(name), "").expect("written"));
        assert_eq!(sweep(folder, "acme", Duration::from_secs(3600)).expect("swept"), 0);
        let old = std::time::SystemTime::now() - Duration::from_secs(7200);
        for name in names {
            File::open(folder.join(name)).and_then(|file| file.set_modified(old)).expect("aged");
        }
        assert_eq!(sweep(folder, "acme", Duration::from_secs(3600)).expect("swept"), 2);
        assert_eq!(names.map(|name| folder.join(name).exists()), [false, false, true, true, true]);
    }

    #[test]
    fn a_recording_whose_end_found_no_place_is_closed_all_the_same() {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        let (mut open, held) = (HashMap::new(), Arc::new(()));
        let path = folder.join("a.wav");
        let order = Order::Open {
            name: "a".into(),
            path: path.clone(),
            sample_rate: 8000,
            held: Arc::downgrade(&held),
            span: Span::none(),
        };
        carry_out(order, &mut open);
        close_abandoned(&mut open);
        assert!(!path.exists() && open.len() == 1, "its call is still up");
        drop(held);
        close_abandoned(&mut open);
        assert!(path.exists() && open.is_empty());
    }
}
