// Files that are kept as they were first made, because they are the same again only where the same fonts and libraries
// are. Every method is one whole transaction.
#pragma once

#include <optional>
#include <string>

#include "services/common/ids.h"
#include "services/common/result.h"

namespace allod::billing::documents {

// Which file: of an invoice or a credit note, in a language.
struct FileKey {
  TenantId tenant;
  std::string document;  // YYYY-MM or YYYY-MM-cN
  std::string language;
  auto operator<=>(const FileKey&) const = default;
};

class FileStore {
 public:
  virtual ~FileStore() = default;
  virtual Result<std::optional<std::string>> FindFile(const FileKey& key) = 0;
  // What is kept from now on: `content`, or what somebody else kept before.
  virtual Result<std::string> KeepFile(const FileKey& key, const std::string& content) = 0;
};

}  // namespace allod::billing::documents
