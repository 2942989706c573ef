#include "inference/node/config.h"

#include <fmt/format.h>

#include "inference/node/machine.h"
#include "inference/node/worker_socket.h"
#include "services/common/ids.h"

namespace allod::inference::node {
namespace {

void ReadPath(ConfigReader& reader, const std::string& field, std::filesystem::path& out) {
  std::string text;
  reader.Required(field, text);
  out = text;
  if (!text.empty() && !out.is_absolute()) reader.Complain(field + ": must be an absolute path");
}

void CheckExecutable(ConfigReader& reader, const std::string& field, const std::filesystem::path& path) {
  std::error_code ignored;
  if (path.is_absolute() && !std::filesystem::is_regular_file(path, ignored)) {
    reader.Complain(fmt::format("{}: {} is not a file", field, path.string()));
  }
}

}  // namespace

Result<NodeConfig> LoadConfig(const ConfigFile& file) {
  NodeConfig c;
  ConfigReader r(file);
  r.Required("node", c.node);
  r.Required("region", c.region);
  r.Optional("memory_bytes", c.memory_bytes);
  r.Optional("cpu_millis", c.cpu_millis);
  r.Required("scheduling_target", c.scheduling_target);
  r.Required("catalog_target", c.catalog_target);
  ReadPath(r, "artifact_dir", c.artifact_dir);
  ReadPath(r, "run_dir", c.run_dir);
  ReadPath(r, "worker_executable", c.worker_executable);
  ReadPath(r, "compress_executable", c.compress_executable);
  ReadPath(r, "evaluation_text", c.evaluation_text);
  for (const auto& [field, id] : {std::pair{"node", c.node}, std::pair{"region", c.region}}) {
    if (const auto ok = CheckId(field, id); !ok && !id.empty()) r.Complain(ok.error().message);
  }
  if (c.memory_bytes < 0) r.Complain("memory_bytes: must not be negative");
  if (c.cpu_millis < 0) r.Complain("cpu_millis: must not be negative");
  if (c.run_dir.string().size() > kRunDirBytesMax) {
    r.Complain(fmt::format("run_dir: at most {} bytes, because socket paths are limited to 107", kRunDirBytesMax));
  }
  CheckExecutable(r, "worker_executable", c.worker_executable);
  CheckExecutable(r, "compress_executable", c.compress_executable);
  CheckExecutable(r, "evaluation_text", c.evaluation_text);
  const Machine machine = DetectMachine();
  if (c.memory_bytes == 0) c.memory_bytes = machine.memory_bytes;
  if (c.cpu_millis == 0) c.cpu_millis = machine.cpu_millis;
  return r.Finish(c);
}

}  // namespace allod::inference::node
