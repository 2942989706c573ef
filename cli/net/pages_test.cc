#include "cli/net/pages.h"

#include <gtest/gtest.h>

#include "allod/tenancy/v1/project.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"

namespace allod::cli::net::pages_test {
namespace {

TEST(AppendItems, TakesTheOneListOfAPage) {
  tenancy::v1::ListProjectsResponse page;
  page.add_projects()->set_name("tenants/ke/projects/a");
  page.add_projects()->set_name("tenants/ke/projects/b");
  page.set_next_page_token("more");
  std::vector<terminal::MessagePtr> items;
  AppendItems(page, items);
  AppendItems(page, items);
  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(terminal::FieldText(*items[1], "name"), "tenants/ke/projects/b");
  EXPECT_NE(dynamic_cast<const tenancy::v1::Project*>(items[3].get()), nullptr);
}

TEST(ProcessOf, IsTheServicesPackage) {
  EXPECT_EQ(ProcessOf(tenancy::v1::TenantService::service_full_name()), "tenancy");
  EXPECT_EQ(ProcessOf("allod.scheduling.v1.NodeService"), "scheduling");
}

}  // namespace
}  // namespace allod::cli::net::pages_test
