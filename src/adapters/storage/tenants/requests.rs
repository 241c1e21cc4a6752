//! Requests that may come twice, and what they were answered.
//!
//! Invariant: of those under one name one is told that it is the first.

use bellhop_tenancy::access::Author;
use bellhop_tenancy::store::{
    ANSWER_KEPT, Answer, Begun, Idempotency, KEYS_OF_A_USER_MAX, KeptAnswer, KeyedRequest, StoreError,
};

use super::rows::{optional_text, small};
use super::{SqlTenants, answer, args};

const SWEEP: &str = "DELETE FROM answered_requests WHERE began_unix_ms <= $1";
const INSERT: &str = "INSERT INTO answered_requests (name, author, fingerprint, began_unix_ms) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING";
const TRIM: &str = "DELETE FROM answered_requests WHERE name <> $3 AND name IN
    (SELECT name FROM answered_requests WHERE author = $1 ORDER BY began_unix_ms DESC LIMIT 1000 OFFSET $2)";
const ONE: &str =
    "SELECT fingerprint, status, location, etag, body FROM answered_requests WHERE name = $1 AND author = $2";
const SETTLE: &str = "UPDATE answered_requests SET status = $2, location = $3, etag = $4, body = $5 WHERE name = $1";
const FORGET: &str = "DELETE FROM answered_requests WHERE name = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 6] = [SWEEP, INSERT, TRIM, ONE, SETTLE, FORGET];

impl Idempotency for SqlTenants {
    fn begin<'a>(&'a self, by: &'a Author, request: &'a KeyedRequest) -> Answer<'a, Begun> {
        answer(async move {
            let author = by.signed_in.user().map_or_else(|| by.signed_in.name().to_owned(), |user| user.to_string());
            let kept = i64::try_from(ANSWER_KEPT.as_millis()).unwrap_or(i64::MAX);
            let KeyedRequest { name, fingerprint, at_unix_ms } = request;
            let mut transaction = self.0.database.begin().await?;
            transaction.execute(SWEEP, args![at_unix_ms.saturating_sub(kept)]).await?;
            let added = transaction.execute(INSERT, args![name, &author, fingerprint, *at_unix_ms]).await?;
            if added > 0 {
                let most = i64::try_from(KEYS_OF_A_USER_MAX).unwrap_or(i64::MAX);
                transaction.execute(TRIM, args![&author, most, name]).await?;
                transaction.commit().await?;
                return Ok(Begun::First);
            }
            let row = transaction.fetch_optional(ONE, args![name, &author]).await?;
            transaction.commit().await?;
            // Another's, whose name it cannot be.
            let Some(row) = row else { return Ok(Begun::Another) };
            if row.text(0)? != fingerprint {
                return Ok(Begun::Another);
            }
            if row.optional_integer(1)?.is_none() {
                return Ok(Begun::InFlight);
            }
            let (location, etag, body) = (optional_text(&row, 2)?, optional_text(&row, 3)?, optional_text(&row, 4)?);
            Ok(Begun::Answered(KeptAnswer { status: small(&row, 1)?, location, etag, body }))
        })
    }

    fn settle<'a>(&'a self, name: &'a str, settled: Option<KeptAnswer>) -> Answer<'a, ()> {
        answer(async move {
            let mut transaction = self.0.database.begin().await?;
            match &settled {
                None => transaction.execute(FORGET, args![name]).await?,
                Some(KeptAnswer { status, location, etag, body }) => {
                    let (location, etag, body) = (location.as_deref(), etag.as_deref(), body.as_deref());
                    transaction.execute(SETTLE, args![name, i64::from(*status), location, etag, body]).await?
                }
            };
            transaction.commit().await.map_err(StoreError::from)
        })
    }
}
