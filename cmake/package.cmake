# libquartet.so and libquartet.a, made of all layers but the shell (cmake/whole.cmake), and what `cmake --install` puts where.
# Only quartet_* can be seen from outside: the shared library hides the rest, and in the archive, which is one object file, what is hidden
# is made local, so that a service may have a buf_put() of its own.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
if(EXISTS ${PROJECT_SOURCE_DIR}/engine/api.c)
  add_library(libquartet_shared SHARED ${whole_object})
  if(QUARTET_LTO)
    set_source_files_properties(${whole_object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  endif()
  set_target_properties(libquartet_shared PROPERTIES OUTPUT_NAME quartet LINKER_LANGUAGE C VERSION ${PROJECT_VERSION} SOVERSION 0)
  target_include_directories(libquartet_shared INTERFACE ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(libquartet_shared PRIVATE PkgConfig::LMDB PkgConfig::XXHASH PkgConfig::UTF8PROC PkgConfig::PCRE2 PkgConfig::UV
                        PkgConfig::SODIUM PkgConfig::ZSTD msgpack_c Threads::Threads m)

  set(archive ${CMAKE_ARCHIVE_OUTPUT_DIRECTORY}/libquartet.a)
  set(merged ${CMAKE_CURRENT_BINARY_DIR}/libquartet.o)
  add_custom_command(OUTPUT ${archive}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_ARCHIVE_OUTPUT_DIRECTORY}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
    COMMAND ${CMAKE_LINKER} -r -o ${merged} ${whole_object}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${merged}
    COMMAND ${CMAKE_AR} crs ${archive} ${merged}
    DEPENDS qt_base qt_parser qt_crdt qt_net qt_engine ${whole_object}
    COMMAND_EXPAND_LISTS VERBATIM COMMENT "Merging the layers into libquartet.a")
  add_custom_target(libquartet_static ALL DEPENDS ${archive})

  # The prefix is found from where the .pc file lies, so that an installation can be moved.
  file(RELATIVE_PATH QUARTET_PC_PREFIX "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/p")
  configure_file(${PROJECT_SOURCE_DIR}/cmake/quartet.pc.in ${CMAKE_BINARY_DIR}/quartet.pc @ONLY)

  # For find_package(Quartet). Below 1.0 another minor version may be another interface.
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Quartet)
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/QuartetConfig.cmake.in ${CMAKE_BINARY_DIR}/QuartetConfig.cmake
    INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/QuartetConfigVersion.cmake COMPATIBILITY SameMinorVersion)

  install(TARGETS libquartet_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${archive} DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${PROJECT_SOURCE_DIR}/include/quartet.h ${PROJECT_SOURCE_DIR}/include/quartet_status.h
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(FILES ${CMAKE_BINARY_DIR}/quartet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  install(FILES ${CMAKE_BINARY_DIR}/QuartetConfig.cmake ${CMAKE_BINARY_DIR}/QuartetConfigVersion.cmake DESTINATION ${package_dir})
  install(TARGETS quartet quartetd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
