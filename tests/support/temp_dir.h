// A directory of its own for one test, removed with everything in it at the end. Its path is short enough for sockets.
#pragma once

#include <filesystem>
#include <string>

namespace allod {

class TempDir {
 public:
  TempDir();  // throws std::runtime_error
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  // Writes a file with mode 0600 and returns its path.
  std::filesystem::path Write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

}  // namespace allod
