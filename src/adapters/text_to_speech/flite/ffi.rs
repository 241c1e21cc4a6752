//! The few functions of libflite, opened at run time. The only unsafe code of this adapter.
//!
//! Invariant: a wave is copied and freed before `speak` returns; voices live as long as the library.

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_int, c_short, c_void};

use bellhop_dialogue::ports::Speech;
use libloading::os::unix::{Library as Shared, RTLD_GLOBAL, RTLD_NOW};

use super::{NoSynthesizer, VOICES};

/// `cst_wave` of flite 2.x.
#[repr(C)]
struct Wave {
    kind: *const c_char,
    sample_rate: c_int,
    num_samples: c_int,
    num_channels: c_int,
    samples: *mut c_short,
}

type TextToWave = unsafe extern "C" fn(*const c_char, *mut c_void) -> *mut Wave;
type DeleteWave = unsafe extern "C" fn(*mut Wave);
type RegisterVoice = unsafe extern "C" fn(*const c_char) -> *mut c_void;

/// The open library with its voices.
pub(super) struct Library {
    text_to_wave: TextToWave,
    delete_wave: DeleteWave,
    voices: HashMap<&'static str, *mut c_void>,
    /// Kept open: the functions and voices above live in these.
    _libraries: Vec<Shared>,
}

impl Library {
    pub(super) fn open() -> Result<Self, NoSynthesizer> {
        let missing = |error: libloading::Error| {
            NoSynthesizer(format!(
                "text_to_speech kind `flite` needs the package libflite1 (apt-get install libflite1): {error}"
            ))
        };
        // SAFETY: the libraries' initialisers are those of Debian's package and have no preconditions; the signatures
        // below are those of flite.h 2.2; pointers are used by the one thread that owns this value.
        unsafe {
            let open = |name: &str| Shared::open(Some(name), RTLD_NOW | RTLD_GLOBAL).map_err(missing);
            let mut libraries =
                vec![open("libflite.so.1")?, open("libflite_cmulex.so.1")?, open("libflite_usenglish.so.1")?];
            let init: unsafe extern "C" fn() -> c_int = *libraries[0].get(b"flite_init\0").map_err(missing)?;
            init();
            let text_to_wave: TextToWave = *libraries[0].get(b"flite_text_to_wave\0").map_err(missing)?;
            let delete_wave: DeleteWave = *libraries[0].get(b"delete_wave\0").map_err(missing)?;
            let mut voices = HashMap::new();
            for name in VOICES {
                let library = open(&format!("libflite_cmu_us_{name}.so.1"))?;
                let symbol = format!("register_cmu_us_{name}\0");
                let register: RegisterVoice = *library.get(symbol.as_bytes()).map_err(missing)?;
                voices.insert(name, register(std::ptr::null()));
                libraries.push(library);
            }
            Ok(Self { text_to_wave, delete_wave, voices, _libraries: libraries })
        }
    }

    pub(super) fn speak(&self, voice: &'static str, text: &str) -> Option<Speech> {
        let text = CString::new(text.replace('\0', " ")).ok()?;
        let voice = *self.voices.get(voice)?;
        // SAFETY: text is a C string that outlives the call, voice was registered by this library, and the wave is read
        // within the bounds it states and then freed once.
        unsafe {
            let wave = (self.text_to_wave)(text.as_ptr(), voice);
            if wave.is_null() {
                return None;
            }
            let length = usize::try_from((*wave).num_samples).unwrap_or(0);
            let rate = u32::try_from((*wave).sample_rate).unwrap_or(8000);
            let samples =
                if length == 0 { vec![] } else { std::slice::from_raw_parts((*wave).samples, length).to_vec() };
            (self.delete_wave)(wave);
            Some(Speech::new(samples, rate))
        }
    }
}
