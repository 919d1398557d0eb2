//! A fresh database for each test, on the Postgres that `make test` starts.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

/// Makes an empty database and gives its URL.
#[expect(
    clippy::disallowed_methods,
    reason = "the harness reads its one variable here"
)]
pub async fn fresh_database() -> String {
    let url = std::env::var("TABLEFERRY_TEST_DATABASE_URL")
        .expect("TABLEFERRY_TEST_DATABASE_URL names the Postgres for tests; `make test` starts one and sets it");
    let name = format!("test_{}", Uuid::new_v4().simple());
    let mut admin = PgConnection::connect(&url)
        .await
        .expect("the Postgres for tests answers");
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut admin)
        .await
        .unwrap();
    admin.close().await.unwrap();
    let mut fresh = url::Url::parse(&url).unwrap();
    fresh.set_path(&name);
    fresh.into()
}
