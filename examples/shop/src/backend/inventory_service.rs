//! The gRPC service.

use tonic::{Request, Response, Status};

use super::store::Store;
use crate::{
    faults::Faults,
    inventory::{
        GetProductRequest, PlaceOrderRequest, PlaceOrderResponse, Product,
        inventory_server::Inventory,
    },
};

pub(super) struct InventoryService {
    store: Store,
    faults: Faults,
}

impl InventoryService {
    pub(super) fn new(store: Store, faults: Faults) -> Self {
        Self { store, faults }
    }
}

#[tonic::async_trait]
impl Inventory for InventoryService {
    async fn get_product(
        &self,
        request: Request<GetProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let id = request.into_inner().id;
        self.faults.strike().await.map_err(failed)?;
        let product = self.store.product(id).await.map_err(failed)?;
        tracing::info!(product = id, is_known = product.is_some(), "product read");
        product.map(Response::new).ok_or_else(|| Status::not_found("there is no such product"))
    }

    async fn place_order(
        &self,
        request: Request<PlaceOrderRequest>,
    ) -> Result<Response<PlaceOrderResponse>, Status> {
        let order = request.into_inner();
        self.faults.strike().await.map_err(failed)?;
        let is_placed = self.store.place_order(&order).await.map_err(failed)?;
        tracing::info!(order.reservation, order.product, order.quantity, is_placed, "order");
        match is_placed {
            true => Ok(Response::new(PlaceOrderResponse {})),
            false => Err(Status::failed_precondition("there are not enough in stock")),
        }
    }
}

/// The caller learns that the call failed, and the log why.
fn failed(error: impl std::fmt::Display) -> Status {
    tracing::error!(%error, "call failed");
    Status::unavailable("the inventory is not available")
}
