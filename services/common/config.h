// Typed configuration from one JSON file. Unknown fields fail, so a misspelt limit is never silently inactive.
//
//   struct Config { std::string listen; int workers = 4; };
//   Result<Config> Load(const ConfigFile& f) {
//     Config c;
//     ConfigReader r(f);
//     r.Required("listen", c.listen);
//     r.Optional("workers", c.workers);
//     return r.Finish(c);   // INVALID_ARGUMENT / INVALID_CONFIG with every complaint, file and field named
//   }
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "services/common/result.h"

namespace allod {

struct ConfigFile {
  std::filesystem::path path;
  nlohmann::json json;
};

// At most 1 MiB, comments (//, /* */) allowed. INVALID_ARGUMENT / INVALID_CONFIG.
Result<ConfigFile> ReadConfigFile(const std::filesystem::path& path);

// Text of a secret file without its final newline; refuses files that others may read. FAILED_PRECONDITION /
// INSECURE_FILE.
Result<std::string> ReadSecretFile(const std::filesystem::path& path);

class ConfigReader {
 public:
  explicit ConfigReader(const ConfigFile& file) : file_(file) {}

  template <typename T>
  void Required(const std::string& field, T& out) {
    if (!file_.json.contains(field)) {
      complaints_.push_back(field + " is required");
      seen_.insert(field);
      return;
    }
    Optional(field, out);
  }

  template <typename T>
  void Optional(const std::string& field, T& out) {
    seen_.insert(field);
    if (!file_.json.contains(field)) return;
    const nlohmann::json& value = file_.json.at(field);
    // nlohmann's own conversions would cut 4.7 to 4 and wrap what does not fit.
    if constexpr (std::is_same_v<T, bool>) {
      if (!value.is_boolean()) return Complain(field + ": must be true or false");
    } else if constexpr (std::is_integral_v<T>) {
      if (!Fits<T>(value)) return Complain(field + ": must be an integer within the range of the field");
    }
    try {
      value.get_to(out);
    } catch (const nlohmann::json::exception& e) {
      complaints_.push_back(field + ": " + e.what());
    }
  }

  // A gRPC address, to listen on or to connect to: a Unix socket (unix_address.h).
  void Address(const std::string& field, std::string& out);

  void Complain(std::string text) { complaints_.push_back(std::move(text)); }

  template <typename T>
  Result<T> Finish(T value) {
    ALLOD_CHECK_OK(Check());
    return value;
  }

 private:
  template <typename T>
  static bool Fits(const nlohmann::json& value) {
    if (value.is_number_unsigned()) return std::in_range<T>(value.get<std::uint64_t>());
    return value.is_number_integer() && std::in_range<T>(value.get<std::int64_t>());
  }
  Status Check();

  const ConfigFile& file_;
  std::set<std::string> seen_;
  std::vector<std::string> complaints_;
};

}  // namespace allod
