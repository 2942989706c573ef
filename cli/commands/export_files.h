// The files of an export: a file of JSON Lines for each kind, and `index.json` with the number of lines, the bytes and
// the SHA-256 of each. They come into being beside their place and are put there at once, complete and on disk, so that
// nobody finds half of an export: neither a reader, nor after a crash, nor where an earlier one stood.
//
//   DIR        a directory that there is not, is empty, or holds an earlier export
//   FILE.tar   the same files in an archive, below the name of the file without ".tar"
//
// Only the owner reads them. One export belongs to one thread.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::cli::commands {

class ExportFiles {
 public:
  struct File {
    std::string name;  // "projects.jsonl"
    std::int64_t lines = 0;
    std::int64_t bytes = 0;
    std::string sha256;
  };

  // FAILED_PRECONDITION / NOT_AN_EXPORT for a place where something else stands, CANNOT_WRITE.
  static Result<ExportFiles> Begin(const std::filesystem::path& target);
  // Removes what was not committed.
  ~ExportFiles();
  ExportFiles(ExportFiles&& other) noexcept;
  ExportFiles& operator=(ExportFiles&&) = delete;

  using Write = std::function<Status(const google::protobuf::Message&)>;
  // "KIND.jsonl", with what `fill` hands to its argument, a line each. Its error; CANNOT_WRITE.
  Status AddKind(const std::string& kind, const std::function<Status(const Write&)>& fill);
  // Puts everything in its place. `about` is said in the index beside the files.
  Status Commit(nlohmann::json about);

  const std::vector<File>& files() const { return files_; }

 private:
  ExportFiles(std::filesystem::path target, std::filesystem::path staging)
      : target_(std::move(target)), staging_(std::move(staging)) {}
  bool IsArchive() const { return target_.extension() == ".tar"; }

  std::filesystem::path target_;
  std::filesystem::path staging_;  // beside it; empty: it was committed, or moved from
  std::vector<File> files_;
};

}  // namespace allod::cli::commands
