// What typesets and what keeps files, in memory.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "services/billing/documents/file_store.h"
#include "services/billing/typesetting/typesetter.h"

namespace allod::billing {

// Its "PDF" is the title, the number and how often it was asked.
class FakeTypesetter final : public typesetting::Typesetter {
 public:
  Result<std::string> Typeset(const typesetting::Sheet& sheet) override {
    const std::lock_guard lock(mutex_);
    if (error) return std::unexpected(*error);
    return sheet.title + " " + sheet.number + " " + std::to_string(++count_);
  }
  std::optional<Error> error;  // set before the calls that shall meet it

 private:
  std::mutex mutex_;
  int count_ = 0;
};

class FakeFileStore final : public documents::FileStore {
 public:
  Result<std::optional<std::string>> FindFile(const documents::FileKey& key) override {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(key);
    if (found == files_.end()) return std::nullopt;
    return found->second;
  }
  Result<std::string> KeepFile(const documents::FileKey& key, const std::string& content) override {
    const std::lock_guard lock(mutex_);
    return files_.try_emplace(key, content).first->second;
  }

 private:
  std::mutex mutex_;
  std::map<documents::FileKey, std::string> files_;
};

}  // namespace allod::billing
