#include "inference/compress/job_output.h"

#include <algorithm>

namespace allod::inference::compress {

void JobOutput::Layers(const std::vector<std::string>& layers) {
  const std::lock_guard lock(mutex_);
  Write({{"layers", layers}});
}

void JobOutput::Progress(const std::string& phase, double begin, double end, double share) {
  const double progress = std::clamp(begin + (end - begin) * share, 0.0, 1.0);
  const std::lock_guard lock(mutex_);
  if (phase == phase_ && progress < progress_ + 0.01) return;
  phase_ = phase;
  progress_ = std::max(progress_, progress);
  Write({{"phase", phase_}, {"progress", progress_}});
}

void JobOutput::Finish(const nlohmann::json& result) {
  const std::lock_guard lock(mutex_);
  Write({{"result", result}});
}

void JobOutput::Finish(const Error& error) {
  const std::lock_guard lock(mutex_);
  Write({{"error", {{"code", CodeName(error.code)}, {"reason", error.reason}, {"message", error.message}}}});
}

void JobOutput::Write(const nlohmann::json& line) {
  // Metadata of a foreign file may hold bytes that are not UTF-8.
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

}  // namespace allod::inference::compress
