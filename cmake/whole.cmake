# quartet_whole: what the installed programs and libraries are linked from. In a release by gcc it is one object: all layers, optimized across their borders
# (statements of a load take about a tenth less time so, lookups a fiftieth). Tests link the layers as they are compiled: a link of theirs takes no longer than before.
# -DLTO=OFF: everything links the layers, which is quicker to build.
add_library(quartet_whole INTERFACE)
set(layer_objects "")
foreach(layer base parser crdt net engine)
  list(APPEND layer_objects $<TARGET_OBJECTS:qt_${layer}>)
endforeach()
target_include_directories(quartet_whole INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
if(QUARTET_LTO)
  set(whole_object ${CMAKE_CURRENT_BINARY_DIR}/quartet_whole.o)
  add_custom_command(OUTPUT ${whole_object}
    COMMAND ${CMAKE_C_COMPILER} -r -O3 -fPIC -fno-strict-aliasing -fstack-protector-strong -flto=auto -flinker-output=nolto-rel -o ${whole_object} ${layer_objects}
    DEPENDS qt_base qt_parser qt_crdt qt_net qt_engine ${layer_objects}
    COMMAND_EXPAND_LISTS VERBATIM COMMENT "Optimizing all layers as one object (-DLTO=OFF does without)")
  add_custom_target(quartet_whole_object DEPENDS ${whole_object})
  add_dependencies(quartet_whole quartet_whole_object)
  target_link_libraries(quartet_whole INTERFACE ${whole_object} PkgConfig::LMDB PkgConfig::XXHASH PkgConfig::UTF8PROC PkgConfig::PCRE2 PkgConfig::UV
                        PkgConfig::SODIUM PkgConfig::ZSTD msgpack_c Threads::Threads m)
else()
  set(whole_object ${layer_objects})
  target_link_libraries(quartet_whole INTERFACE qt_engine)
endif()
