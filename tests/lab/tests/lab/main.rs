mod client;
mod handshake;
mod name_server;
mod pages;
mod politeness;
mod world;
