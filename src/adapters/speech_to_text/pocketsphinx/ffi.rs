//! A dozen functions of libpocketsphinx, opened at run time. The only unsafe code of this adapter.
//!
//! Invariant: a decoder is used by the one thread that owns it; texts it returns are copied before the next call.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

use super::NoRecognizer;

type Decoder = *mut c_void;

struct Functions {
    cmd_ln_init: unsafe extern "C" fn(*mut c_void, *const c_void, c_int, ...) -> *mut c_void,
    ps_args: unsafe extern "C" fn() -> *const c_void,
    ps_init: unsafe extern "C" fn(*mut c_void) -> Decoder,
    ps_set_jsgf_string: unsafe extern "C" fn(Decoder, *const c_char, *const c_char) -> c_int,
    ps_set_allphone_file: unsafe extern "C" fn(Decoder, *const c_char, *const c_char) -> c_int,
    ps_set_lm_file: unsafe extern "C" fn(Decoder, *const c_char, *const c_char) -> c_int,
    ps_set_search: unsafe extern "C" fn(Decoder, *const c_char) -> c_int,
    ps_unset_search: unsafe extern "C" fn(Decoder, *const c_char) -> c_int,
    ps_start_utt: unsafe extern "C" fn(Decoder) -> c_int,
    ps_process_raw: unsafe extern "C" fn(Decoder, *const i16, usize, c_int, c_int) -> c_int,
    ps_end_utt: unsafe extern "C" fn(Decoder) -> c_int,
    ps_get_hyp: unsafe extern "C" fn(Decoder, *mut i32) -> *const c_char,
    ps_lookup_word: unsafe extern "C" fn(Decoder, *const c_char) -> *mut c_char,
    free: unsafe extern "C" fn(*mut c_void),
    _libraries: [Library; 2],
}

fn functions() -> Result<&'static Functions, NoRecognizer> {
    static FUNCTIONS: OnceLock<Result<Functions, NoRecognizer>> = OnceLock::new();
    FUNCTIONS.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn load() -> Result<Functions, NoRecognizer> {
    let missing = |error: libloading::Error| {
        NoRecognizer(format!(
            "speech_to_text kind `pocketsphinx` needs the package libpocketsphinx3 (apt-get install libpocketsphinx3): {error}"
        ))
    };
    // SAFETY: the libraries are Debian's, their initialisers have no preconditions, and the signatures are those of
    // pocketsphinx.h and cmd_ln.h of 5prealpha.
    unsafe {
        let base = Library::open(Some("libsphinxbase.so.3"), RTLD_NOW | RTLD_GLOBAL).map_err(missing)?;
        let sphinx = Library::open(Some("libpocketsphinx.so.3"), RTLD_NOW | RTLD_GLOBAL).map_err(missing)?;
        // Its log goes to standard error by default and would carry what was said.
        let log_to: unsafe extern "C" fn(*mut c_void) = *base.get(b"err_set_logfp\0").map_err(missing)?;
        log_to(std::ptr::null_mut());
        Ok(Functions {
            cmd_ln_init: *base.get(b"cmd_ln_init\0").map_err(missing)?,
            ps_args: *sphinx.get(b"ps_args\0").map_err(missing)?,
            ps_init: *sphinx.get(b"ps_init\0").map_err(missing)?,
            ps_set_jsgf_string: *sphinx.get(b"ps_set_jsgf_string\0").map_err(missing)?,
            ps_set_allphone_file: *sphinx.get(b"ps_set_allphone_file\0").map_err(missing)?,
            ps_set_lm_file: *sphinx.get(b"ps_set_lm_file\0").map_err(missing)?,
            ps_set_search: *sphinx.get(b"ps_set_search\0").map_err(missing)?,
            ps_unset_search: *sphinx.get(b"ps_unset_search\0").map_err(missing)?,
            ps_start_utt: *sphinx.get(b"ps_start_utt\0").map_err(missing)?,
            ps_process_raw: *sphinx.get(b"ps_process_raw\0").map_err(missing)?,
            ps_end_utt: *sphinx.get(b"ps_end_utt\0").map_err(missing)?,
            ps_get_hyp: *sphinx.get(b"ps_get_hyp\0").map_err(missing)?,
            ps_lookup_word: *sphinx.get(b"ps_lookup_word\0").map_err(missing)?,
            free: *sphinx.get(b"free\0").map_err(missing)?,
            _libraries: [base, sphinx],
        })
    }
}

/// The words of a path, and its score.
#[derive(Clone)]
pub(super) struct Path {
    pub(super) text: String,
    pub(super) score: i32,
}

/// What was decoded.
pub(super) struct Decoded {
    /// The best path, which need not have come to the end of its grammar.
    pub(super) so_far: Path,
    /// The best of those that have.
    pub(super) whole: Option<Path>,
}

/// A decoder.
pub(super) struct Sphinx {
    functions: &'static Functions,
    decoder: Decoder,
}

impl Sphinx {
    /// Loads the acoustic model and the dictionary below `model`.
    pub(super) fn open(model: &str) -> Result<Self, NoRecognizer> {
        let functions = functions()?;
        let (hmm, dict) = (format!("{model}/en-us"), format!("{model}/cmudict-en-us.dict"));
        for path in [&hmm, &dict] {
            if !std::path::Path::new(path).exists() {
                return Err(NoRecognizer(format!(
                    "speech_to_text kind `pocketsphinx` needs the package pocketsphinx-en-us (apt-get install pocketsphinx-en-us): {path} is missing"
                )));
            }
        }
        let text = |text: &str| CString::new(text).expect("no NUL in it");
        let (hmm, dict) = (text(&hmm), text(&dict));
        // SAFETY: cmd_ln_init takes name-value pairs of C strings ended by NULL; all outlive the call.
        let decoder = unsafe {
            let config = (functions.cmd_ln_init)(
                std::ptr::null_mut(),
                (functions.ps_args)(),
                0,
                c"-hmm".as_ptr(),
                hmm.as_ptr(),
                c"-dict".as_ptr(),
                dict.as_ptr(),
                c"-cmn".as_ptr(),
                c"batch".as_ptr(),
                c"-remove_silence".as_ptr(),
                c"no".as_ptr(),
                c"-allphone_ci".as_ptr(),
                c"yes".as_ptr(),
                c"-logfn".as_ptr(),
                c"/dev/null".as_ptr(),
                std::ptr::null::<c_char>(),
            );
            if config.is_null() { std::ptr::null_mut() } else { (functions.ps_init)(config) }
        };
        if decoder.is_null() {
            return Err(NoRecognizer(format!("pocketsphinx could not load its model from {model}")));
        }
        Ok(Self { functions, decoder })
    }

    /// Sets a grammar under a name, replacing the one of that name.
    pub(super) fn set_grammar(&mut self, name: &CStr, jsgf: &str) -> bool {
        let Ok(jsgf) = CString::new(jsgf) else { return false };
        // SAFETY: a live decoder and C strings.
        unsafe { (self.functions.ps_set_jsgf_string)(self.decoder, name.as_ptr(), jsgf.as_ptr()) == 0 }
    }

    /// Sets a loop over all phones under a name.
    pub(super) fn set_phone_loop(&mut self, name: &CStr, path: &str) -> bool {
        let Ok(path) = CString::new(path) else { return false };
        // SAFETY: as above.
        unsafe { (self.functions.ps_set_allphone_file)(self.decoder, name.as_ptr(), path.as_ptr()) == 0 }
    }

    /// Sets a language model under a name.
    pub(super) fn set_language_model(&mut self, name: &CStr, path: &str) -> bool {
        let Ok(path) = CString::new(path) else { return false };
        // SAFETY: as above.
        unsafe { (self.functions.ps_set_lm_file)(self.decoder, name.as_ptr(), path.as_ptr()) == 0 }
    }

    /// Forgets the search of this name.
    pub(super) fn unset(&mut self, name: &CStr) {
        // SAFETY: as above.
        unsafe {
            (self.functions.ps_unset_search)(self.decoder, name.as_ptr());
        }
    }

    /// Decodes an utterance with the search of this name.
    pub(super) fn decode(&mut self, search: &CStr, samples: &[i16]) -> Option<Decoded> {
        let f = self.functions;
        // SAFETY: a live decoder; samples outlive the call; hypotheses are copied at once.
        unsafe {
            if (f.ps_set_search)(self.decoder, search.as_ptr()) != 0 || (f.ps_start_utt)(self.decoder) != 0 {
                return None;
            }
            (f.ps_process_raw)(self.decoder, samples.as_ptr(), samples.len(), 0, 1);
            // Before the end a path need not have come to the end of its grammar.
            let so_far = self.hypothesis();
            (f.ps_end_utt)(self.decoder);
            let whole = self.hypothesis();
            let so_far = so_far.or_else(|| whole.clone())?;
            Some(Decoded { so_far, whole })
        }
    }

    fn hypothesis(&mut self) -> Option<Path> {
        let mut score = 0;
        // SAFETY: a live decoder; the text is copied at once.
        unsafe {
            let hypothesis = (self.functions.ps_get_hyp)(self.decoder, &raw mut score);
            (!hypothesis.is_null())
                .then(|| Path { text: CStr::from_ptr(hypothesis).to_string_lossy().into_owned(), score })
        }
    }

    /// Whether the dictionary has a word.
    pub(super) fn knows(&self, word: &str) -> bool {
        let Ok(word) = CString::new(word) else { return false };
        // SAFETY: a live decoder; what it allocates is freed.
        unsafe {
            let phones = (self.functions.ps_lookup_word)(self.decoder, word.as_ptr());
            if phones.is_null() {
                return false;
            }
            (self.functions.free)(phones.cast());
            true
        }
    }
}
