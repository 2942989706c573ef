#include "cli/kinds/calls.h"

namespace allod::cli::kinds {

std::string LastSegment(const std::string& name) { return name.substr(name.rfind('/') + 1); }

std::string ParentOf(const std::string& name) {
  const auto last = name.rfind('/');
  const auto collection = last == std::string::npos ? last : name.rfind('/', last - 1);
  return collection == std::string::npos ? "" : name.substr(0, collection);
}

Result<net::Change> Started(const std::string& process, Result<google::longrunning::Operation> result) {
  if (!result) return std::unexpected(result.error());
  return net::Change{process, *std::move(result)};
}

std::vector<std::string> IfNotFound(const Error& error, std::vector<std::string> names) {
  return error.code == Code::kNotFound ? std::move(names) : std::vector<std::string>();
}

}  // namespace allod::cli::kinds
