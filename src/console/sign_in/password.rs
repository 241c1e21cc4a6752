//! Passwords: which may be one, and how one is kept.
//!
//! Invariant: a password is kept as argon2id with a salt of its own, in PHC form (its parameters stand with it), and comparing
//! one takes as much work for a name that nobody has.

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use bellhop_tenancy::Secret;

/// Fewest characters: what can be guessed at the speed of the limits is shorter (NIST SP 800-63B section 3.1.1.2).
pub const CHARACTERS_MIN: usize = 12;
/// Most characters: a sentence fits, and nobody has megabytes hashed.
pub const CHARACTERS_MAX: usize = 256;
/// Bytes of a salt.
pub(super) const SALT_BYTES: usize = 16;

/// How much work a hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// What the OWASP Password Storage Cheat Sheet recommends at least: 19 MiB, two passes, one lane.
    pub const RECOMMENDED: Self = Self { memory_kib: 19 * 1024, passes: 2 };
}

/// Those of the most common passwords that are long enough, in lower case, and what people do to reach a length.
const COMMON: &[&str] = &[
    "000000000000",
    "111111111111",
    "112233445566",
    "121212121212",
    "123123123123",
    "123412341234",
    "1234512345",
    "123456123456",
    "123456789012",
    "1234567890123",
    "123456789012345",
    "1234567890123456",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u8i",
    "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv",
    "abc123abc123",
    "abcdefghijkl",
    "abcdefghijklm",
    "administrator",
    "administrator1",
    "bellhopbellhop",
    "changeme1234",
    "changemenow1",
    "changemeplease",
    "contrasena123",
    "correct horse battery staple",
    "correcthorsebatterystaple",
    "iloveyou1234",
    "iloveyou12345",
    "iloveyouforever",
    "letmein12345",
    "letmein123456",
    "motdepasse123",
    "p@ssw0rd1234",
    "p@ssword1234",
    "passw0rd1234",
    "password1234",
    "password12345",
    "password123456",
    "password1234567",
    "password12345678",
    "passwordpassword",
    "passwort1234",
    "qazwsxedcrfv",
    "qwerty123456",
    "qwerty1234567",
    "qwerty12345678",
    "qwertyqwerty",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiop[]",
    "qwertyuiopasdfghjkl",
    "qwertzuiopasdf",
    "welcome12345",
    "welcome123456",
    "zaq12wsxcde3",
    "zxcvbnm12345",
];

/// Why a text may not be a password.
pub(super) fn refused(password: &str, login: &str) -> Option<String> {
    let length = password.chars().count();
    if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&length) {
        return Some(format!(
            "has {length} characters: between {CHARACTERS_MIN} and {CHARACTERS_MAX}, a sentence is good"
        ));
    }
    let plain = password.to_lowercase();
    let login = login.to_lowercase();
    let name = login.split('@').next().unwrap_or_default();
    let few = plain.chars().collect::<std::collections::BTreeSet<_>>().len() < 5;
    if COMMON.contains(&plain.as_str()) || few || plain == login || plain == name {
        return Some("is one of those that are guessed first: a sentence of some words is good".to_owned());
    }
    None
}

fn argon2(cost: Cost) -> Argon2<'static> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, None).expect("a cost within the bounds of argon2");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash of a password, in PHC form.
pub(super) fn hashed(password: &Secret, salt: &[u8; SALT_BYTES], cost: Cost) -> String {
    let salt = SaltString::encode_b64(salt).expect("a salt of the recommended length");
    let hash = argon2(cost).hash_password(password.expose().as_bytes(), &salt);
    hash.expect("any text up to a length can be hashed").to_string()
}

/// Whether a password is that of a hash.
pub(super) fn is_right(password: &Secret, phc: &str) -> bool {
    // The parameters are those of the hash, not ours.
    let verified = |hash: PasswordHash<'_>| Argon2::default().verify_password(password.expose().as_bytes(), &hash);
    PasswordHash::new(phc).is_ok_and(|hash| hash.algorithm == Algorithm::Argon2id.ident() && verified(hash).is_ok())
}

/// Whether a hash is less work than it would be today.
pub(super) fn is_weaker(phc: &str, cost: Cost) -> bool {
    let params = PasswordHash::new(phc).ok().and_then(|hash| Params::try_from(&hash).ok());
    params.is_none_or(|params| params.m_cost() < cost.memory_kib || params.t_cost() < cost.passes)
}

/// A hash of no password that is as much work as one.
pub(super) fn of_nobody(cost: Cost) -> String {
    let Cost { memory_kib, passes } = cost;
    format!("$argon2id$v=19$m={memory_kib},t={passes},p=1${}${}", "A".repeat(22), "A".repeat(43))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1 };

    #[test]
    fn what_is_guessed_first_or_too_short_is_no_password() {
        for (password, good) in [
            ("short", false),
            ("elevenchars", false),
            ("twelve chars", true),
            ("älter werden", true),
            ("Password1234", false),
            ("aaaaaaaaaaaaaaa", false),
            ("abababababababab", false),
            ("alice@bank.example", false),
            ("correct horse battery staple", false),
            ("nobody expects this sentence", true),
        ] {
            assert_eq!(refused(password, "Alice@bank.example").is_none(), good, "{password}");
        }
        let long = |length: usize| "abcdefg ".chars().cycle().take(length).collect::<String>();
        assert!(refused(&long(256), "x").is_none() && refused(&long(257), "x").is_some());
        assert!(refused("root root root", "root root root").is_some());
        let told = refused("s3cret", "x").expect("too short");
        assert!(!told.contains("s3cret"));
    }

    #[test]
    fn a_hash_opens_for_its_password_alone_and_tells_when_it_is_weak() {
        let (password, other) = (Secret::new("nobody expects this"), Secret::new("nobody expects that"));
        let phc = hashed(&password, &[7; SALT_BYTES], CHEAP);
        assert!(phc.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{phc}");
        assert!(is_right(&password, &phc) && !is_right(&other, &phc));
        assert_ne!(phc, hashed(&password, &[8; SALT_BYTES], CHEAP), "each has its salt");
        assert!(!is_weaker(&phc, CHEAP) && is_weaker(&phc, Cost { memory_kib: 8, passes: 2 }));
        assert!(is_weaker(&phc, Cost { memory_kib: 9, passes: 1 }) && is_weaker("nonsense", CHEAP));
        assert!(!is_right(&password, "nonsense") && !is_right(&password, &phc.replace("argon2id", "argon2i")));
    }

    #[test]
    fn the_hash_of_nobody_is_as_much_work_and_opens_for_nothing() {
        let phc = of_nobody(Cost::RECOMMENDED);
        let hash = PasswordHash::new(&phc).expect("PHC");
        let params = Params::try_from(&hash).expect("parameters");
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (19_456, 2, 1));
        assert_eq!(hash.hash.expect("a hash").len(), 32);
        assert!(!is_right(&Secret::new(""), &of_nobody(CHEAP)));
    }
}
