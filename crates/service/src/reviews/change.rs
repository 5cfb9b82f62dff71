//! Changes that lose nothing: made to the newest version, made again when that changed meanwhile, or refused.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Item, LabelingSession, ReviewApp, Timestamp};
use store::Changed;
use tokio::sync::MutexGuard;

use crate::error::ServiceError;

/// How often a change is made anew to a thing that others change at the same time.
const TRIES: u32 = 30;

/// The mean pause before the next try grows by this.
const PAUSE: Duration = Duration::from_millis(2);

/// A thing that knows its version.
pub(super) trait Versioned {
    fn last_update_time(&self) -> Option<&Timestamp>;
}

macro_rules! versioned {
    ($($type:ty),*) => {
        $(impl Versioned for $type {
            fn last_update_time(&self) -> Option<&Timestamp> {
                self.last_update_time.as_ref()
            }
        })*
    };
}

versioned!(ReviewApp, LabelingSession, Item);

/// What is to be changed: where it is read and written.
#[async_trait]
pub(super) trait Target: Send + Sync {
    type Thing: Versioned + Clone + PartialEq + Send + Sync;

    /// The error that says that there is no such thing.
    fn missing(&self) -> ServiceError;
    /// Waits for one's turn to change it.
    async fn turn(&self) -> MutexGuard<'_, ()>;
    async fn read(&self) -> Result<Option<Self::Thing>, ServiceError>;
    async fn write(&self, thing: &Self::Thing) -> Result<Changed<Self::Thing>, ServiceError>;
}

/// Reads, changes and writes until nobody came between. With `seen`, the version that the user has before their eyes,
/// a change by another is not theirs to overwrite: [`ServiceError::Conflict`].
pub(super) async fn changed<T: Target>(
    target: T,
    seen: Option<Timestamp>,
    change: impl Fn(&mut T::Thing) -> Result<(), ServiceError> + Send + Sync,
) -> Result<T::Thing, ServiceError> {
    // One after the other within this server: a workspace cannot tell that someone came between.
    let _turn = target.turn().await;
    for nth in 0..TRIES {
        let mut thing = target.read().await?.ok_or_else(|| target.missing())?;
        check_seen(seen.as_ref(), &thing)?;
        let before = thing.clone();
        change(&mut thing)?;
        if thing == before {
            return Ok(thing);
        }
        match target.write(&thing).await? {
            Changed::Done(thing) => return Ok(thing),
            Changed::Missing => return Err(target.missing()),
            Changed::Conflict if seen.is_some() => return Err(overtaken()),
            Changed::Conflict => {
                let pause = PAUSE * (nth + 1);
                tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            }
        }
    }
    Err(overtaken())
}

/// Refuses to change what is not as the user has it before their eyes.
pub(super) fn check_seen(seen: Option<&Timestamp>, thing: &impl Versioned) -> Result<(), ServiceError> {
    let newest = thing.last_update_time().map(Timestamp::unix_ms);
    if seen.is_some() && seen.map(Timestamp::unix_ms) != newest {
        return Err(overtaken());
    }
    Ok(())
}

fn overtaken() -> ServiceError {
    ServiceError::Conflict(
        "it was changed by someone else meanwhile; read it again and repeat the change".into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turns::Turns;
    use std::sync::Mutex;

    fn item(version: i64) -> Item {
        let mut item: Item =
            serde_json::from_value(serde_json::json!({"item_id": "i", "source": {}})).unwrap();
        item.last_update_time = Some(Timestamp::from_unix_ms(version));
        item
    }

    /// A thing that others change so many more times, each time just before our write.
    struct Contested(Mutex<(i64, i64)>, Turns);

    #[async_trait]
    impl Target for Contested {
        type Thing = Item;

        fn missing(&self) -> ServiceError {
            ServiceError::Interrupted
        }

        async fn turn(&self) -> MutexGuard<'_, ()> {
            self.1.wait(&"item").await
        }

        async fn read(&self) -> Result<Option<Item>, ServiceError> {
            Ok(Some(item(self.0.lock().unwrap().0)))
        }

        async fn write(&self, item: &Item) -> Result<Changed<Item>, ServiceError> {
            let mut stored = self.0.lock().unwrap();
            if stored.1 > 0 {
                *stored = (stored.0 + 1, stored.1 - 1);
            }
            let is_newest = item.last_update_time() == Some(&Timestamp::from_unix_ms(stored.0));
            Ok(if is_newest {
                Changed::Done(self::item(stored.0 + 1))
            } else {
                Changed::Conflict
            })
        }
    }

    async fn write(others: i64, seen: Option<i64>) -> Result<i64, ServiceError> {
        let contested = Contested(Mutex::new((0, others)), Turns::default());
        let comment = |item: &mut Item| {
            item.comment = Some("changed".into());
            Ok(())
        };
        let done = changed(contested, seen.map(Timestamp::from_unix_ms), comment).await;
        done.map(|item| item.last_update_time().unwrap().unix_ms().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_made_anew_to_what_others_made_of_it() {
        assert_eq!(write(0, None).await.unwrap(), 1);
        assert_eq!(write(5, None).await.unwrap(), 6);
        assert!(matches!(write(1000, None).await, Err(ServiceError::Conflict(_))));
    }

    #[tokio::test]
    async fn a_change_of_nothing_makes_no_new_version() {
        let contested = Contested(Mutex::new((3, 0)), Turns::default());
        let item = changed(contested, None, |_| Ok(())).await.unwrap();
        assert_eq!(item.last_update_time(), Some(&Timestamp::from_unix_ms(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_user_did_not_see_is_not_overwritten() {
        assert_eq!(write(0, Some(0)).await.unwrap(), 1);
        assert!(matches!(write(0, Some(7)).await, Err(ServiceError::Conflict(_))));
        assert!(matches!(write(1, Some(0)).await, Err(ServiceError::Conflict(_))));
    }
}
