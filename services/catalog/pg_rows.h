// What the files of the catalog's PgStore share: columns, rows and request ids.
#pragma once

#include <fmt/format.h>

#include "services/catalog/store.h"
#include "services/common/pg/pool.h"
#include "services/common/pg/row_reader.h"

namespace allod::catalog {

// The resource that an earlier request with this id and payload made. ALREADY_EXISTS / REQUEST_ID_REUSED.
Result<std::optional<std::string>> RecallRequest(GlobalTx& tx, const RequestId& request);
// Last in a transaction; waits for a concurrent twin. ALREADY_EXISTS / REQUEST_ID_REUSED.
Status RememberRequest(GlobalTx& tx, const RequestId& request, const std::string& resource);

// NOT_FOUND.
Result<Model> ReadModel(GlobalTx& tx, const std::string& model);
Result<Version> ReadVersion(GlobalTx& tx, const VersionKey& key);
Result<Variant> ReadVariant(GlobalTx& tx, const VariantKey& key);
// NOT_FOUND.
Status RequirePublisher(GlobalTx& tx, const std::string& publisher);
// Leaves a model that is there as it is. NOT_FOUND without its publisher.
Status InsertModel(GlobalTx& tx, const Model& model);
void InsertVersion(GlobalTx& tx, const Version& version);
void InsertVariant(GlobalTx& tx, const Variant& variant);

}  // namespace allod::catalog
