// Immutable files addressed by their SHA-256, in one directory: <root>/<digest>. Used by the catalog and by nodes
// (which share the directory on one machine).
//
// A file appears under its digest only whole: it is written under <root>/incoming/, synced, then renamed. Names are
// built from checked digests only. Thread-safe; several processes may share the directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "services/common/result.h"

namespace allod {

struct Blob {
  std::string sha256;
  std::int64_t bytes = 0;
  std::filesystem::path path;
};

class BlobStore {
 public:
  // Creates the directory; removes what older processes left in incoming/ more than a day ago.
  static Result<BlobStore> Open(const std::filesystem::path& root);

  // NOT_FOUND when absent, INVALID_ARGUMENT / INVALID_DIGEST.
  Result<Blob> Find(const std::string& sha256) const;

  // Receives one file; destroyed without Commit, it leaves nothing.
  class Writer {
   public:
    ~Writer();
    Writer(Writer&&) noexcept;
    Status Append(const void* data, std::size_t size);  // RESOURCE_EXHAUSTED / DISK_FULL
    std::int64_t bytes() const;
    // INVALID_ARGUMENT / DIGEST_MISMATCH when `expected_sha256` is not empty and differs.
    Result<Blob> Commit(const std::string& expected_sha256);

   private:
    friend class BlobStore;
    struct Impl;
    explicit Writer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
  };
  Result<Writer> Create();
  // Moves a finished file that lies on the same file system into the store.
  Result<Blob> Adopt(const std::filesystem::path& file);
  // A path under incoming/ for a program that writes a file itself, to be given to Adopt.
  std::filesystem::path IncomingPath(const std::string& stem) const;
  // Absent is fine.
  Status Remove(const std::string& sha256);

 private:
  explicit BlobStore(std::filesystem::path root) : root_(std::move(root)) {}
  std::filesystem::path root_;
};

}  // namespace allod
