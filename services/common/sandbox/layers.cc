#include "services/common/sandbox/layers.h"

#include <algorithm>

namespace allod::sandbox {

bool Layers::Has(std::string_view layer) const { return std::ranges::find(names_, layer) != names_.end(); }

}  // namespace allod::sandbox
