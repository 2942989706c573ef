#include "cli/net/pages.h"

#include <google/protobuf/descriptor.h>

namespace allod::cli::net {

void AppendItems(const google::protobuf::Message& page, std::vector<terminal::MessagePtr>& items) {
  const auto* type = page.GetDescriptor();
  const auto* reflection = page.GetReflection();
  for (int i = 0; i < type->field_count(); ++i) {
    if (!type->field(i)->is_repeated()) continue;
    for (int n = 0; n < reflection->FieldSize(page, type->field(i)); ++n) {
      const auto& item = reflection->GetRepeatedMessage(page, type->field(i), n);
      items.emplace_back(item.New())->CopyFrom(item);
    }
    return;
  }
}

}  // namespace allod::cli::net
