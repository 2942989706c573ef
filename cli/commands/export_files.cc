#include "cli/commands/export_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include "cli/commands/tar_file.h"
#include "services/common/digest.h"
#include "services/common/owned_fd.h"

namespace allod::cli::commands {
namespace {

namespace fs = std::filesystem;

constexpr char kFormat[] = "allod.tenant-export.1";
constexpr char kIndex[] = "index.json";

std::unexpected<Error> CannotWrite(const fs::path& path, const std::string& why) {
  return FailedPrecondition("CANNOT_WRITE", fmt::format("cannot write {}: {}", path.string(), why));
}

// Of a directory its entries, of a file its bytes.
Status Sync(const fs::path& path) {
  const OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) return CannotWrite(path, std::strerror(errno));
  return {};
}

Status CheckReplaceable(const fs::path& target, bool is_archive) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(target, error);
  if (status.type() == fs::file_type::not_found) return {};
  if (is_archive && fs::is_regular_file(status)) return {};
  if (!is_archive && fs::is_directory(status)) {
    if (fs::is_empty(target, error) && !error) return {};
    std::ifstream in(target / kIndex);
    const auto index = nlohmann::json::parse(in, nullptr, false);
    if (index.is_object() && index.value("format", nlohmann::json()) == kFormat) return {};
  }
  return FailedPrecondition("NOT_AN_EXPORT",
                            fmt::format("{} is there and is no earlier export, which this one would replace; choose "
                                        "another place, or remove it",
                                        target.string()));
}

}  // namespace

Result<ExportFiles> ExportFiles::Begin(const fs::path& target) {
  std::error_code error;
  fs::path absolute = fs::absolute(target, error).lexically_normal();
  if (absolute.filename().empty()) absolute = absolute.parent_path();
  if (error || absolute.filename().empty()) return CannotWrite(target, "it has no name");
  ALLOD_CHECK_OK(CheckReplaceable(absolute, absolute.extension() == ".tar"));
  std::string staging = absolute.parent_path() / fmt::format(".{}.XXXXXX", absolute.filename().string());
  if (mkdtemp(staging.data()) == nullptr) return CannotWrite(absolute, std::strerror(errno));
  return ExportFiles(std::move(absolute), fs::path(staging));
}

ExportFiles::ExportFiles(ExportFiles&& other) noexcept
    : target_(std::move(other.target_)), staging_(std::exchange(other.staging_, {})), files_(std::move(other.files_)) {}

ExportFiles::~ExportFiles() {
  std::error_code ignored;
  if (!staging_.empty()) fs::remove_all(staging_, ignored);
}

Status ExportFiles::AddKind(const std::string& kind, const std::function<Status(const Write&)>& fill) {
  File file{.name = kind + ".jsonl"};
  const fs::path path = staging_ / file.name;
  const OwnedFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return CannotWrite(path, std::strerror(errno));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(fdopen(dup(fd.get()), "w"), &std::fclose);
  if (out == nullptr) return CannotWrite(path, std::strerror(errno));
  Sha256 digest;
  std::string line;
  ALLOD_CHECK_OK(fill([&](const google::protobuf::Message& message) -> Status {
    line.clear();
    if (const auto printed = google::protobuf::util::MessageToJsonString(message, &line); !printed.ok()) {
      return Internal(fmt::format("{} cannot be written as JSON: {}", kind, printed.ToString()));
    }
    line += '\n';
    if (std::fwrite(line.data(), 1, line.size(), out.get()) != line.size()) {
      return CannotWrite(path, std::strerror(errno));
    }
    digest.Update(line.data(), line.size());
    ++file.lines;
    file.bytes += static_cast<std::int64_t>(line.size());
    return {};
  }));
  if (std::fflush(out.get()) != 0 || fsync(fd.get()) != 0) return CannotWrite(path, std::strerror(errno));
  file.sha256 = digest.FinishHex();
  files_.push_back(std::move(file));
  return {};
}

Status ExportFiles::Commit(nlohmann::json about) {
  about["format"] = kFormat;
  about["files"] = nlohmann::json::array();
  std::vector<std::string> names = {kIndex};
  for (const File& file : files_) {
    names.push_back(file.name);
    about["files"].push_back(
        {{"name", file.name}, {"lines", file.lines}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  const fs::path index = staging_ / kIndex;
  {
    const OwnedFd fd(open(index.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) return CannotWrite(index, std::strerror(errno));
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(fdopen(dup(fd.get()), "w"), &std::fclose);
    const std::string text = about.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    if (out == nullptr || std::fwrite(text.data(), 1, text.size(), out.get()) != text.size() ||
        std::fflush(out.get()) != 0) {
      return CannotWrite(index, std::strerror(errno));
    }
  }
  ALLOD_CHECK_OK(Sync(index));
  fs::path made = staging_;
  if (IsArchive()) {
    made = staging_ / "archive";
    ALLOD_CHECK_OK(WriteTar(made, staging_, target_.stem().string(), names));
  }
  ALLOD_CHECK_OK(Sync(made));
  std::error_code ignored;
  const bool swap = !IsArchive() && fs::is_directory(fs::symlink_status(target_, ignored));
  if (renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, target_.c_str(), swap ? RENAME_EXCHANGE : 0) != 0) {
    return CannotWrite(target_, std::strerror(errno));
  }
  ALLOD_CHECK_OK(Sync(target_.parent_path()));
  // What stood there before, or what the archive was made of.
  if (swap || IsArchive()) fs::remove_all(staging_, ignored);
  staging_.clear();
  return {};
}

}  // namespace allod::cli::commands
