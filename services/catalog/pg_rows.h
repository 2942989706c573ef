// What the files of the catalog's PgStore share: columns, rows and request ids.
#pragma once

#include <fmt/format.h>

#include "services/catalog/store.h"
#include "services/common/pg/pool.h"

// Times cross into SQL as microseconds since 1970, which is what PostgreSQL resolves.
#define ALLOD_MICROS(column) "(extract(epoch FROM " column ") * 1000000)::bigint"
#define ALLOD_FROM_MICROS(parameter) "(timestamptz 'epoch' + " parameter "::bigint * interval '1 microsecond')"

namespace allod::catalog {

inline std::int64_t Micros(Time t) {
  return std::chrono::duration_cast<std::chrono::microseconds>(t.time_since_epoch()).count();
}
inline Time FromMicros(std::int64_t us) { return Time(std::chrono::microseconds(us)); }

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

// After a commit whose outcome is unknown: transactions that pass this return what is there when they run again, so
// running them again is the look-up.
template <typename T>
Result<T> RunAgain(GlobalTx&) {
  return NotFound("not looked up");
}

}  // namespace allod::catalog
