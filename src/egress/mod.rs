//! STUB
use crate::domain::{
    attempt::{Failure, Outcome},
    endpoint::Endpoint,
    event::Event,
    id::DeliveryId,
    subscription::Terms,
    time::Timestamp,
};
use ipnet::IpNet;
pub struct Template;
pub struct Request;
pub struct Client;
#[derive(Clone)]
pub struct Guard;
pub struct Names;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct Refusal;
impl Template {
    pub fn new(_: &Terms) -> Result<Self, Failure> {
        Ok(Self)
    }
    pub fn request(&self, _: DeliveryId, _: &Event, _: Timestamp) -> Request {
        Request
    }
}
impl Client {
    pub fn new(_: Guard) -> Self {
        Self
    }
    pub async fn send(&self, _: Request) -> Outcome {
        Outcome::NotAttempted
    }
    pub fn reap(&self) {}
}
impl Names {
    pub fn system() -> Self {
        Self
    }
}
impl Guard {
    pub fn new(_: Vec<IpNet>, _: Names) -> Self {
        Self
    }
    pub async fn check(&self, _: &Endpoint) -> Result<(), Refusal> {
        Ok(())
    }
}
