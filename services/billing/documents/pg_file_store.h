// Kept files in PostgreSQL (migrations/billing, `document_files`). Thread-safe.
#pragma once

#include "services/billing/documents/file_store.h"
#include "services/common/pg/pool.h"

namespace allod::billing::documents {

class PgFileStore final : public FileStore {
 public:
  // Connects as the role allod_billing and outlives the store.
  explicit PgFileStore(PgPool& pool) : pool_(pool) {}
  Result<std::optional<std::string>> FindFile(const FileKey& key) override;
  Result<std::string> KeepFile(const FileKey& key, const std::string& content) override;

 private:
  PgPool& pool_;
};

}  // namespace allod::billing::documents
