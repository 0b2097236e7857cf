//! Generates the gRPC service and its client. protox is a compiler in Rust, so that no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    let files = protox::compile(["proto/shop.proto"], ["proto"])?;
    tonic_prost_build::compile_fds(files)?;
    Ok(())
}
