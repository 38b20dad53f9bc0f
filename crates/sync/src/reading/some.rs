//! Reads some users anew, or the account without its keys: what an event is about. Everything else comes out of the memory.
//!
//! It must never take one answer for the end of somebody: IAM's answers may lag behind, and the next complete run will know.

use std::collections::{BTreeMap, BTreeSet};

use super::{Reader, is_held, is_needed, take};
use crate::account::same_name;
use crate::directory::{Directory, Found, ListedKey};
use crate::error::Error;
use crate::memory::Memory;
use crate::picture::{Person, Picture};

/// What to read about some users.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The names that one of them may have.
    pub names: &'a BTreeSet<String>,
    /// Whether the keys are to be listed although they are known.
    pub keys: bool,
    /// Whether the inline policies are to be read although they are known.
    pub inline: bool,
    /// Whether they are said to be deleted.
    pub deleted: bool,
}

impl<D: Directory> Reader<'_, D> {
    /// Users and groups anew, keys as they were; those of users who were not known are read.
    ///
    /// # Errors
    /// The first failure of any call, or that another account answers.
    pub async fn structure(&self, memory: &mut Memory) -> Result<Picture, Error> {
        let (account, unsure) = self.account(memory).await?;
        memory.is_about(account.number.as_deref()).map_err(Error::OtherAccount)?;
        let mut picture = self.people(&account, &unsure, memory);
        let known = |id: &String| memory.picture.as_ref().and_then(|picture| picture.known(id));
        let unread = picture
            .people
            .iter()
            .filter(|(id, person)| self.who.keys.iam && person.counts() && !known(id).is_some_and(Person::counts));
        let unread: Vec<(String, String)> = unread.map(|(id, person)| (id.clone(), person.name.clone())).collect();
        for (id, name) in unread {
            match self.keys_of(&name, memory).await? {
                Some(keys) => drop(picture.people.get_mut(&id).map(|person| person.keys = keys)),
                None => drop(picture.people.remove(&id)),
            }
        }
        Ok(picture)
    }

    /// Puts what IAM says of some users into a picture; tells whether that is anything new. Where IAM knows nobody of a name, that counts
    /// only if the user is said to be deleted.
    ///
    /// # Errors
    /// The first failure of any call, or that another account answers.
    pub async fn some(&self, ask: Ask<'_>, memory: &mut Memory, picture: &mut Picture) -> Result<bool, Error> {
        let mut found: BTreeMap<String, Found> = BTreeMap::new();
        for name in ask.names {
            found.extend(self.directory.user(name).await?.map(|found| (found.id.clone(), found)));
        }
        for one in found.values() {
            memory.is_about(one.account.as_deref()).map_err(Error::OtherAccount)?;
        }
        if ask.deleted && found.is_empty() {
            // Another account knows nobody of that name, either.
            memory.is_about(self.directory.number().await?.as_deref()).map_err(Error::OtherAccount)?;
        }
        // Who has a name of somebody found has it no more: renamed, or made anew under the same name.
        let is_taken = |name: &str| found.values().any(|found| same_name(&found.user.name, name));
        let is_deleted = |name: &str| ask.deleted && ask.names.iter().any(|deleted| same_name(deleted, name));
        let is_concerned = |id: &String, person: &mut Person| {
            found.contains_key(id) || is_taken(&person.name) || is_deleted(&person.name)
        };
        let before = Picture {
            people: picture.people.extract_if(.., is_concerned).collect(),
            outside: picture.outside.extract_if(.., is_concerned).collect(),
            ..Picture::default()
        };
        // An unfinished reading of everything would bring back what it saw before this.
        memory.pass.retain(|id, _| before.known(id).is_none() && !found.contains_key(id));
        let (mut now, held) = (Picture::default(), memory.held());
        for (id, Found { mut user, .. }) in found {
            // An earlier part of the same task may have moved the user out of the picture.
            let remembered = || memory.picture.as_ref().and_then(|picture| picture.known(&id));
            let known = before.known(&id).or_else(remembered).cloned();
            user.policies.inline = match &known {
                Some(known) if !ask.inline => known.inline.clone(),
                _ => self.directory.inline(&user.name).await?,
            };
            let mut person = self.person(&user, &picture.verdicts, known.as_ref());
            let was_read = known.as_ref().is_some_and(Person::counts);
            let is_wanted = person.counts() || is_held(&held, &person.name);
            if self.who.keys.iam && is_wanted && (ask.keys || !was_read) {
                match (self.keys_of(&user.name, memory).await?, known) {
                    (Some(keys), _) => person.keys = keys,
                    // There a moment ago.
                    (None, Some(known)) => person = known,
                    (None, None) => continue,
                }
            }
            self.place(id, &user, person, &held, &mut now);
        }
        let is_news = now != before;
        picture.people.extend(now.people);
        picture.outside.extend(now.outside);
        Ok(is_news)
    }

    /// Forgets what an unfinished reading of everything has listed of some users.
    ///
    /// # Errors
    /// The first failure of any call.
    pub async fn forget(&self, names: &BTreeSet<String>, memory: &mut Memory) -> Result<(), Error> {
        for name in names {
            if let Some(found) = self.directory.user(name).await? {
                memory.pass.remove(&found.id);
            }
        }
        Ok(())
    }

    /// One user's keys with their bodies; `None` if there is no such user (any more).
    async fn keys_of(&self, name: &str, memory: &mut Memory) -> Result<Option<Vec<ListedKey>>, Error> {
        let Some(mut keys) = self.directory.keys(name).await? else { return Ok(None) };
        let unknown = keys.iter().filter(|key| is_needed(memory, key) && !memory.bodies.contains_key(&key.id));
        let unknown: Vec<String> = unknown.map(|key| key.id.clone()).collect();
        for id in unknown {
            let key = self.directory.key(name, &id).await?;
            take(&mut keys, &mut memory.bodies, &id, key);
        }
        Ok(Some(keys))
    }
}
