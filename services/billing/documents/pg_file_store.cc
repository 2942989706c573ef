#include "services/billing/documents/pg_file_store.h"

namespace allod::billing::documents {
namespace {

constexpr std::string_view kFind =
    "SELECT content FROM billing.document_files WHERE tenant_id = $1::uuid AND invoice_id = $2 AND language = $3";
constexpr std::string_view kKeep =
    "INSERT INTO billing.document_files (tenant_id, invoice_id, language, content) VALUES ($1::uuid, $2, $3, "
    "$4::bytea) "
    "ON CONFLICT (tenant_id, invoice_id, language) DO NOTHING";

std::optional<std::string> FindIn(TenantTx& tx, const FileKey& key) {
  const auto rows = tx.Exec(kFind, key.tenant, key.document, key.language);
  if (rows.empty()) return std::nullopt;
  const pqxx::binarystring bytes(rows[0][0]);
  return std::string(bytes.get(), bytes.size());
}

}  // namespace

Result<std::optional<std::string>> PgFileStore::FindFile(const FileKey& key) {
  return pool_.Run<std::optional<std::string>>(
      key.tenant, [&](TenantTx& tx) -> Result<std::optional<std::string>> { return FindIn(tx, key); });
}

Result<std::string> PgFileStore::KeepFile(const FileKey& key, const std::string& content) {
  const std::function<Result<std::string>(TenantTx&)> keep = [&](TenantTx& tx) -> Result<std::string> {
    tx.Exec(kKeep, key.tenant, key.document, key.language, pqxx::binarystring(content));
    auto kept = FindIn(tx, key);
    if (!kept) return Internal("a kept file is not there");
    return *std::move(kept);
  };
  // Again is the same.
  return pool_.Run<std::string>(key.tenant, keep, RunAgain());
}

}  // namespace allod::billing::documents
