//! A fresh database for each test, on the Postgres that `make test` starts.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tableferry::store::Store;
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The database that [`migrated_database`] copies.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// Makes an empty database and returns its URL.
pub async fn fresh_database() -> String {
    let name = new_name("test");
    create(&format!("CREATE DATABASE {name}")).await;
    url_of(&name)
}

/// Makes a database with the current schema and returns its URL. It is a copy of one that was
/// migrated once, which is faster than migrating each.
pub async fn migrated_database() -> String {
    let template = TEMPLATE.get_or_init(|| async {
        let name = new_name("template");
        create(&format!("CREATE DATABASE {name}")).await;
        let store = Store::connect_lazily(&url_of(&name).into(), None).unwrap();
        store.migrate().await.unwrap();
        // Postgres cannot copy a database with open connections.
        store.close().await;
        name
    });
    let template = template.await;
    let name = new_name("test");
    create(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    url_of(&name)
}

#[expect(
    clippy::disallowed_methods,
    reason = "databases of tests have names of their own"
)]
fn new_name(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::new_v4().simple())
}

async fn create(statement: &str) {
    let mut admin = PgConnection::connect(&server_url())
        .await
        .expect("the Postgres for tests answers");
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut admin)
        .await
        .unwrap();
    admin.close().await.unwrap();
}

fn url_of(name: &str) -> String {
    let mut url = url::Url::parse(&server_url()).unwrap();
    url.set_path(name);
    url.into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the harness reads its one variable here"
)]
fn server_url() -> String {
    std::env::var("TABLEFERRY_TEST_DATABASE_URL").expect(
        "TABLEFERRY_TEST_DATABASE_URL names the Postgres for tests; `make test` starts one and sets it",
    )
}
