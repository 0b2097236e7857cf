//! Names on the wire of database operations.

pub(super) use crate::convention::names::{ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT};

pub(super) const OPERATION_DURATION: &str = "db.client.operation.duration";

pub(super) const DB_SYSTEM_NAME: &str = "db.system.name";
pub(super) const DB_NAMESPACE: &str = "db.namespace";
pub(super) const DB_COLLECTION_NAME: &str = "db.collection.name";
pub(super) const DB_OPERATION_NAME: &str = "db.operation.name";
pub(super) const DB_OPERATION_BATCH_SIZE: &str = "db.operation.batch.size";
pub(super) const DB_QUERY_SUMMARY: &str = "db.query.summary";
pub(super) const DB_QUERY_TEXT: &str = "db.query.text";
pub(super) const DB_STORED_PROCEDURE_NAME: &str = "db.stored_procedure.name";
pub(super) const DB_RESPONSE_STATUS_CODE: &str = "db.response.status_code";
pub(super) const DB_RESPONSE_RETURNED_ROWS: &str = "db.response.returned_rows";

#[cfg(test)]
mod tests {
    use opentelemetry_semantic_conventions::{attribute, metric};

    use super::*;

    #[test]
    fn names_are_those_of_the_conventions() {
        let rows = [
            (OPERATION_DURATION, metric::DB_CLIENT_OPERATION_DURATION),
            (DB_SYSTEM_NAME, attribute::DB_SYSTEM_NAME),
            (DB_NAMESPACE, attribute::DB_NAMESPACE),
            (DB_COLLECTION_NAME, attribute::DB_COLLECTION_NAME),
            (DB_OPERATION_NAME, attribute::DB_OPERATION_NAME),
            (DB_OPERATION_BATCH_SIZE, attribute::DB_OPERATION_BATCH_SIZE),
            (DB_QUERY_SUMMARY, attribute::DB_QUERY_SUMMARY),
            (DB_QUERY_TEXT, attribute::DB_QUERY_TEXT),
            (DB_STORED_PROCEDURE_NAME, attribute::DB_STORED_PROCEDURE_NAME),
            (DB_RESPONSE_STATUS_CODE, attribute::DB_RESPONSE_STATUS_CODE),
            (DB_RESPONSE_RETURNED_ROWS, attribute::DB_RESPONSE_RETURNED_ROWS),
            (ERROR_TYPE, attribute::ERROR_TYPE),
            (SERVER_ADDRESS, attribute::SERVER_ADDRESS),
            (SERVER_PORT, attribute::SERVER_PORT),
        ];
        for (ours, published) in rows {
            assert_eq!(ours, published);
        }
    }
}
