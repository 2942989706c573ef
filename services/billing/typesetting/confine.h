// What allod-invoice gives up before it reads: foreign texts go through Pango, HarfBuzz and FreeType, and whoever took
// it over there would otherwise have billing's user, whose word billing's and other services' sockets take.
#pragma once

#include <filesystem>
#include <string_view>

#include "services/common/result.h"

namespace allod::billing::typesetting {

// On standard error of one that set its sheet where Landlock is missing.
inline constexpr std::string_view kNoLandlock = "NO_LANDLOCK";

struct Confinement {
  // Files but the fonts are out of reach; false: this kernel has no Landlock, and what billing's user may read it may.
  bool has_landlock = false;
};

// For good, before further threads start. INTERNAL / NOT_CONFINED: the kernel refused, and nothing may be read.
Result<Confinement> Confine(const std::filesystem::path& fonts);

}  // namespace allod::billing::typesetting
