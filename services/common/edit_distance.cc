#include "services/common/edit_distance.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace allod {

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t k = 1; k <= b.size(); ++k) {
      const std::size_t exchanged = diagonal + (a[i - 1] == b[k - 1] ? 0 : 1);
      diagonal = std::exchange(row[k], std::min({exchanged, row[k] + 1, row[k - 1] + 1}));
    }
  }
  return row.back();
}

}  // namespace allod
