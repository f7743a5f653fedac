//! Tokens: what they look like, what is kept of them, and which of them a presented text is.
//!
//! A token is `ck_ID_SECRET`: eight hexadecimal digits by which it is found and named in logs, and
//! 256 random bits of which only the BLAKE3 hash is kept. A fast hash is enough: nobody can try
//! out 2^256 secrets.

use serde::{Deserialize, Serialize};

use crate::requests::{AgencyId, HouseholdId, Refusal};
use crate::{CameraId, Error, ErrorKind, Result, Timestamp};

use super::rules::Role;

/// The most tokens of one daemon, revoked ones included.
const TOKENS_MAX: usize = 10_000;
/// The longest name of a token, and the most cameras that it is for.
const NAME_BYTES_MAX: usize = 100;
const CAMERAS_MAX: usize = 1_000;

/// What is kept of a token.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(in crate::daemon) struct Token {
    /// By which it is found.
    pub(in crate::daemon) id: String,
    pub(in crate::daemon) role: Role,
    /// The cameras that it is for; empty: all, or those of its home.
    pub(in crate::daemon) cameras: Vec<String>,
    /// The home that it is of: it is for the cameras that the home has when it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::daemon) household: Option<String>,
    /// The agency that it is of: an agency's token has one, and no other has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::daemon) agency: Option<String>,
    /// What a person calls it.
    pub(in crate::daemon) name: String,
    /// BLAKE3 of its secret, in hexadecimal digits.
    hash: String,
    pub(in crate::daemon) made: String,
    /// When it ends by itself.
    pub(in crate::daemon) expires: Option<String>,
    /// When it was revoked.
    pub(in crate::daemon) revoked: Option<String>,
}

/// What somebody wants of a new token.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    pub(crate) role: Role,
    pub(crate) cameras: Vec<CameraId>,
    /// The home whose cameras it is for, in place of naming them.
    pub(crate) household: Option<HouseholdId>,
    /// Whose it is, if it is an agency's.
    pub(crate) agency: Option<AgencyId>,
    pub(crate) name: String,
    pub(crate) expires: Option<Timestamp>,
}

/// A token as it is handed out: shown once, and kept by nobody.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) id: String,
    pub(crate) role: Role,
    pub(crate) secret: String,
}

impl Token {
    /// A fresh token, and the text to hand out.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a name or a list of cameras that is too long, or an agency's token
    /// without its agency; `Io` when the system gives no random bytes.
    pub(super) fn make(new: &NewToken, now: Timestamp) -> Result<(Self, Issued)> {
        if new.name.len() > NAME_BYTES_MAX || new.cameras.len() > CAMERAS_MAX {
            return Err(invalid(format!(
                "token: want a name up to {NAME_BYTES_MAX} bytes and up to {CAMERAS_MAX} cameras"
            )));
        }
        if (new.role == Role::Agency) != new.agency.is_some() {
            let want = "an agency's token names its agency, and no other does";
            return Err(invalid(format!("token: {want}")));
        }
        let is_of_home = matches!(new.role, Role::Camera | Role::Resident);
        if new.household.is_some() && !(is_of_home && new.cameras.is_empty()) {
            let want = "a home's token is a camera's or a resident's, and names no cameras";
            return Err(invalid(format!("token: {want}")));
        }
        let (id, secret) = (hex(&random::<4>()?), hex(&random::<32>()?));
        let token = Self {
            hash: blake3::hash(secret.as_bytes()).to_hex().to_string(),
            role: new.role,
            cameras: new.cameras.iter().map(ToString::to_string).collect(),
            household: new.household.as_ref().map(ToString::to_string),
            agency: new.agency.as_ref().map(ToString::to_string),
            name: new.name.clone(),
            made: now.to_string(),
            expires: new.expires.map(|at| at.to_string()),
            revoked: None,
            id: id.clone(),
        };
        let issued = Issued { role: new.role, secret: format!("ck_{id}_{secret}"), id };
        Ok((token, issued))
    }

    /// Whether it can be used at `now`. What cannot be read ends a token.
    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        let ends = self.expires.as_ref().map(|at| at.parse().unwrap_or(Timestamp::MIN));
        self.revoked.is_none() && ends.is_none_or(|at| now < at)
    }

    /// The cameras that it is for; `None` when one cannot be read.
    pub(super) fn scope(&self) -> Option<Vec<CameraId>> {
        self.cameras.iter().map(|camera| camera.parse().ok()).collect()
    }

    /// The home that it is of, if it is one's.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(super) fn home(&self) -> std::result::Result<Option<HouseholdId>, Refusal> {
        self.household.as_deref().map(str::parse).transpose()
    }
}

/// All tokens, as the file has them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::daemon) struct TokenSet {
    pub(in crate::daemon) tokens: Vec<Token>,
}

impl TokenSet {
    /// Adds a fresh token.
    ///
    /// # Errors
    ///
    /// Those of [`Token::make`]; `InvalidInput` when there are too many.
    pub(super) fn add(&mut self, new: &NewToken, now: Timestamp) -> Result<Issued> {
        if self.tokens.len() >= TOKENS_MAX {
            return Err(invalid(format!("token: there are {TOKENS_MAX} already")));
        }
        loop {
            let (token, issued) = Token::make(new, now)?;
            if !self.tokens.iter().any(|other| other.id == token.id) {
                self.tokens.push(token);
                return Ok(issued);
            }
        }
    }

    /// Ends a token. Revoking twice is as once.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub(super) fn revoke(&mut self, id: &str, now: Timestamp) -> Result<()> {
        let token = self.tokens.iter_mut().find(|token| token.id == id).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("revoke token {id:?}: there is none"))
        })?;
        token.revoked.get_or_insert_with(|| now.to_string());
        Ok(())
    }

    /// The token that `presented` is, good or not. Takes the same time for a wrong secret as for
    /// an id that does not exist.
    pub(super) fn find(&self, presented: &str) -> Option<&Token> {
        let (id, secret) = presented.strip_prefix("ck_")?.split_once('_')?;
        let token = self.tokens.iter().find(|token| token.id == id);
        let kept = token.and_then(|token| blake3::Hash::from_hex(&token.hash).ok());
        // Comparing two `Hash` takes the same time whatever they are.
        let matches = blake3::hash(secret.as_bytes()) == kept.unwrap_or_else(|| blake3::hash(b""));
        token.filter(|_| matches && kept.is_some())
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::Io, format!("ask for random bytes: {error}")))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn new(expires: Option<Timestamp>) -> NewToken {
        let (cameras, name) = (Vec::new(), String::new());
        NewToken { role: Role::Resident, cameras, household: None, agency: None, name, expires }
    }

    #[test]
    fn a_token_is_found_by_its_secret_alone() {
        let mut set = TokenSet::default();
        let a = set.add(&new(None), Timestamp::EPOCH).unwrap();
        let b = set.add(&new(None), Timestamp::EPOCH).unwrap();
        assert_eq!(set.find(&a.secret).unwrap().id, a.id);
        let crossed = format!("ck_{}_{}", a.id, b.secret.rsplit('_').next().unwrap());
        let empty = format!("ck_{}_", a.id);
        for wrong in [&crossed, &empty, "ck_00000000_", "ck__", "ck_", "", &a.secret[1..]] {
            assert!(set.find(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_does_not_have_the_secret() {
        let mut set = TokenSet::default();
        let issued = set.add(&new(None), Timestamp::EPOCH).unwrap();
        let kept = serde_json::to_string(&set).unwrap();
        assert!(!kept.contains(issued.secret.rsplit('_').next().unwrap()));
        assert_eq!(issued.secret.rsplit('_').next().unwrap().len(), 64, "256 bits");
    }

    #[test]
    fn an_agencys_token_names_it_and_no_other_token_does() {
        let agency = Some("springfield-pd".parse().unwrap());
        let mut set = TokenSet::default();
        let mut add = |role, agency| {
            set.add(&NewToken { role, agency, ..new(None) }, Timestamp::EPOCH).is_ok()
        };
        assert!(add(Role::Agency, agency.clone()) && !add(Role::Agency, None));
        assert!(!add(Role::Operator, agency) && add(Role::Operator, None));
    }

    #[test]
    fn a_homes_token_names_no_cameras_and_is_of_those_who_have_cameras() {
        let home: Option<HouseholdId> = Some("h1".parse().unwrap());
        let mut set = TokenSet::default();
        let mut add = |role, cameras| {
            set.add(&NewToken { role, cameras, household: home, ..new(None) }, Timestamp::EPOCH)
                .is_ok()
        };
        assert!(add(Role::Resident, Vec::new()) && add(Role::Camera, Vec::new()));
        assert!(!add(Role::Resident, vec!["front".parse().unwrap()]));
        assert!(!add(Role::Operator, Vec::new()) && !add(Role::Public, Vec::new()));
        assert_eq!(set.tokens[0].home().unwrap(), home);
    }

    #[test]
    fn expired_and_revoked_tokens_are_no_good() {
        let second = Timestamp::EPOCH.saturating_add(Duration::from_secs(1));
        let mut set = TokenSet::default();
        let issued = set.add(&new(Some(second)), Timestamp::EPOCH).unwrap();
        assert!(set.tokens[0].is_good(Timestamp::EPOCH) && !set.tokens[0].is_good(second));
        set.revoke(&issued.id, Timestamp::EPOCH).unwrap();
        assert!(!set.tokens[0].is_good(Timestamp::EPOCH));
        assert!(set.revoke("nobody", Timestamp::EPOCH).is_err());
    }
}
