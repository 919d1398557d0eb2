//! The macros of sqlx read the migrations and what the database said about each query; cargo does
//! not know that.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
    println!("cargo::rerun-if-changed=../../.sqlx");
}
