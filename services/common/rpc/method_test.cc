#include "services/common/rpc/method.h"

#include <gmock/gmock.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>

#include "allod/tenancy/v1/project.pb.h"

namespace allod::method_test {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using testing::HasSubstr;

constexpr char kMessages[] = R"(
  name: "sample.proto" package: "allod.sample.v1" syntax: "proto3" dependency: "allod/access/v1/access.proto"
  message_type { name: "Inner" field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }
  message_type {
    name: "Request"
    field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "names" number: 2 type: TYPE_STRING label: LABEL_REPEATED }
    field { name: "number" number: 3 type: TYPE_INT32 label: LABEL_OPTIONAL }
    field { name: "inner" number: 4 type: TYPE_MESSAGE type_name: ".allod.sample.v1.Inner" label: LABEL_OPTIONAL }
  }
)";

std::string MethodText(const std::string& name, const std::string& more) {
  return "method { name: \"" + name + "\" input_type: \".allod.sample.v1.Request\" " +
         "output_type: \".allod.sample.v1.Inner\" " + more + "}";
}
std::string Access(const std::string& rule, const std::string& permission = "sample.things.do") {
  return "options { [allod.access.v1.access] {" + rule + " permission: '" + permission + "'} }";
}

// A file with these methods in one service.
class MethodTest : public testing::Test {
 protected:
  const FileDescriptor& File(const std::string& methods) {
    FileDescriptorProto file;
    const std::string text = std::string(kMessages) + "service { name: \"SampleService\" " + methods + "}";
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &file)) << text;
    pool_ = std::make_unique<DescriptorPool>(DescriptorPool::generated_pool());
    const FileDescriptor* built = pool_->BuildFile(file);
    EXPECT_NE(built, nullptr) << text;
    return *built;
  }

 private:
  std::unique_ptr<DescriptorPool> pool_;
};

TEST_F(MethodTest, HasTheNameOfItsAreaAndItsOwn) {
  const Method& method = MethodOf<tenancy::v1::GetProjectRequest>();
  EXPECT_EQ(method.name, "tenancy.GetProject");
  EXPECT_EQ(method.access.who(), access::v1::WHO_TENANT);
  tenancy::v1::GetProjectRequest request;
  EXPECT_EQ(ResourceOf(method, request), "");
  request.set_name("tenants/ke/projects/p");
  EXPECT_EQ(ResourceOf(method, request), "tenants/ke/projects/p");
}

TEST_F(MethodTest, IsRefusedWithoutARuleThatCanBeKept) {
  struct Case {
    std::string method;
    const char* why;  // empty: none
  };
  for (const Case& c : {
           Case{"", "no option"},
           Case{Access(""), "names nobody"},
           Case{Access("who: WHO_UNSPECIFIED"), "names nobody"},
           Case{Access("who: 77"), "names nobody"},
           Case{Access("who: WHO_OPERATOR"), ""},
           Case{Access("who: WHO_OPERATOR", ""), "permission"},
           Case{Access("who: WHO_OPERATOR", "sample.things"), "permission"},
           Case{Access("who: WHO_OPERATOR", "sample.things."), "permission"},
           Case{Access("who: WHO_OPERATOR", "sample.things.do.it"), "permission"},
           Case{Access("who: WHO_OPERATOR", "sample.*.do"), "permission"},
           Case{Access("who: WHO_OPERATOR", "other.things.do"), "is not sample.collection.verb"},
           Case{Access("who: WHO_OPERATOR resource: 'name'"), "must name none"},
           Case{Access("who: WHO_TENANT"), "needs a resource"},
           Case{Access("who: WHO_MEMBER"), "needs a resource"},
           Case{Access("who: WHO_NODE"), ""},
           Case{Access("who: WHO_NODE resource: 'name'"), ""},
           Case{Access("who: WHO_TENANT resource: 'name'"), ""},
           Case{Access("who: WHO_TENANT resource: 'inner.name'"), ""},
           Case{Access("who: WHO_TENANT resource: 'name' across_projects: true"), ""},
           Case{Access("who: WHO_MEMBER resource: 'name' across_projects: true"), "across_projects"},
           Case{Access("who: WHO_TENANT resource: 'name' whole_tenant: true"), ""},
           Case{Access("who: WHO_MEMBER resource: 'name' whole_tenant: true"), "whole_tenant"},
           Case{Access("who: WHO_OPERATOR whole_tenant: true"), "whole_tenant"},
           Case{Access("who: WHO_TENANT resource: 'name' across_projects: true whole_tenant: true"), "whole_tenant"},
           Case{Access("who: WHO_TENANT resource: 'nothing'"), "is not one string"},
           Case{Access("who: WHO_TENANT resource: 'names'"), "is not one string"},
           Case{Access("who: WHO_TENANT resource: 'number'"), "is not one string"},
           Case{Access("who: WHO_TENANT resource: 'inner'"), "is not one string"},
           Case{Access("who: WHO_TENANT resource: 'inner.number'"), "is not one string"},
           Case{Access("who: WHO_TENANT resource: 'name.name'"), "is not one string"},
           Case{Access("who: WHO_TENANT resource: 'inner.'"), "is not one string"},
           Case{"client_streaming: true " + Access("who: WHO_TENANT resource: 'name'"), "stream"},
           Case{"client_streaming: true " + Access("who: WHO_OPERATOR"), ""},
       }) {
    const auto method = DescribeMethod(*File(MethodText("Get", c.method)).service(0)->method(0));
    EXPECT_EQ(method.has_value(), *c.why == '\0') << c.method;
    if (method) {
      EXPECT_EQ(method->name, "sample.Get");
      continue;
    }
    EXPECT_EQ(method.error().reason, "INVALID_ACCESS_RULE");
    EXPECT_THAT(method.error().message, HasSubstr("allod.sample.v1.SampleService.Get: "));
    EXPECT_THAT(method.error().message, HasSubstr(c.why));
  }
}

TEST_F(MethodTest, ReadsAResourceInsideAMessage) {
  const FileDescriptor& file = File(MethodText("Get", Access("who: WHO_TENANT resource: 'inner.name'")));
  const auto method = DescribeMethod(*file.service(0)->method(0));
  ASSERT_TRUE(method) << method.error().message;
  google::protobuf::DynamicMessageFactory factory;
  const std::unique_ptr<google::protobuf::Message> request(
      factory.GetPrototype(file.FindMessageTypeByName("Request"))->New());
  EXPECT_EQ(ResourceOf(*method, *request), "") << "not even the message is there";
  ASSERT_TRUE(
      google::protobuf::TextFormat::ParseFromString("name: 'other' inner { name: 'tenants/ke' }", request.get()));
  EXPECT_EQ(ResourceOf(*method, *request), "tenants/ke");
}

TEST_F(MethodTest, IsFoundByItsRequestWhichIsItsAlone) {
  const std::string rule = Access("who: WHO_OPERATOR");
  const FileDescriptor& one = File(MethodText("Get", rule));
  EXPECT_EQ(DescribeMethodWith(*one.FindMessageTypeByName("Request"))->name, "sample.Get");
  EXPECT_THAT(DescribeMethodWith(*one.FindMessageTypeByName("Inner")).error().message, HasSubstr("no method"));
  const FileDescriptor& two = File(MethodText("Get", rule) + MethodText("Read", rule));
  const auto shared = DescribeMethodWith(*two.FindMessageTypeByName("Request"));
  ASSERT_FALSE(shared);
  EXPECT_THAT(shared.error().message, HasSubstr("another method has the same request"));
}

TEST(CheckServices, TakesWhatHasRulesAndWhatGrpcServesItself) {
  EXPECT_TRUE(CheckServices({"allod.tenancy.v1.ProjectService", "allod.tenancy.v1.TenantService",
                             "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}));
  for (const char* unknown : {"allod.nothing.v1.NothingService", "google.longrunning.Operations"}) {
    const Status checked = CheckServices({unknown});
    ASSERT_FALSE(checked) << unknown;
    EXPECT_EQ(checked.error().reason, "INVALID_ACCESS_RULE");
  }
}

}  // namespace
}  // namespace allod::method_test
