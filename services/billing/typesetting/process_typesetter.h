// Typesetting by allod-invoice, one process for each sheet.
#pragma once

#include <atomic>
#include <optional>

#include "services/billing/typesetting/typesetter.h"
#include "services/common/process/launcher.h"

namespace allod::billing::typesetting {

class ProcessTypesetter final : public Typesetter {
 public:
  // Of allod-invoice; nothing: billing was not told where it is.
  explicit ProcessTypesetter(std::optional<Launcher> launcher) : launcher_(std::move(launcher)) {}
  // What one run may take.
  static LaunchLimits Limits();

  Result<std::string> Typeset(const Sheet& sheet) override;

 private:
  const std::optional<Launcher> launcher_;
  std::atomic<bool> has_told_ = false;  // that files are within its reach
};

}  // namespace allod::billing::typesetting
