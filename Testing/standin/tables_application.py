"""Slicer's application, modules and main window, as declared.py reads them."""

from __future__ import annotations

APPLICATION = """
class qSlicerApplication : QApplication
  property QString slicerHome readonly
  property QString defaultScenePath
  property QString temporaryPath
  property QString cachePath
  property QString startupWorkingPath readonly
  property QString slicerUserSettingsFilePath readonly
  property QString slicerRevisionUserSettingsFilePath readonly
  property QString extensionsInstallPath
  property bool isInstalled readonly = True
  property QString releaseType readonly = "Stable"
  property QString repositoryRevision readonly = "stand-in"
  property QString revision readonly = "0"
  property int majorVersion readonly = 5
  property int minorVersion readonly = 12
  property QString documentationBaseUrl readonly = "https://slicer.readthedocs.io/en/5.12"
  property QString documentationVersion readonly = "5.12"
  property QString documentationLanguage readonly = "en"
  property QString platform readonly = "linux-amd64"
  property QString arch readonly = "amd64"
  property QString os readonly = "linux"
  property bool isCustomMainApplication readonly
  property QString mainApplicationName readonly = "Slicer"
  property int mainApplicationMajorVersion readonly = 5
  property int mainApplicationMinorVersion readonly = 12
  property int mainApplicationPatchVersion readonly
  slot mrmlScene()
  slot applicationLogic()
  slot moduleLogic(QString)
  slot moduleManager()
  slot coreIOManager()
  slot ioManager()
  slot userSettings()
  slot settings()
  slot revisionUserSettings()
  slot defaultSettings()
  slot layoutManager()
  slot setLayoutManager(QObject*)
  slot commandOptions()
  slot startupEnvironment()
  slot environment()
  slot testingEnabled()
  slot errorLogModel()
  slot pythonConsole()
  slot moduleDocumentationUrl(QString)
  slot openNodeModule(vtkMRMLNode*, QString=, QString=)
  slot setRenderPaused(bool)
  slot pauseRender()
  slot resumeRender()
  slot restart()
  slot confirmRestart(QString=)
  slot launchDesigner(QStringList=)
  signal startupCompleted()
  signal renderPaused(bool)
  signal mrmlSceneChanged(vtkMRMLScene*)

class qSlicerAbstractCoreModule : QObject
  property QString name readonly
  property QString title
  property QString path
  property QStringList categories
  property QStringList contributors
  property QString helpText
  property QString acknowledgementText
  property QStringList dependencies
  property QStringList associatedNodeTypes
  property int index = -1
  property bool hidden
  property QIcon icon
  property bool widgetRepresentationCreationEnabled = True
  property QString slicerWikiUrl readonly
  slot logic()
  slot mrmlScene()
  slot widgetRepresentation()
  slot createNewWidgetRepresentation()

class qSlicerScriptedLoadableModule : qSlicerAbstractCoreModule

class qSlicerModuleFactoryManager : QObject
  slot loadedModuleNames()
  slot isLoaded(QString)

class qSlicerModuleManager : QObject
  slot module(QString)
  slot modulesNames()
  slot factoryManager()
  signal moduleLoaded(QString)
  signal moduleAboutToBeUnloaded(QString)

class qSlicerModuleSelectorToolBar : QToolBar
  property QString selectedModule
  slot selectModule(QString)
  signal moduleSelected(QString)

class qSlicerMainWindow : QMainWindow
  slot moduleSelector()
  slot pythonConsole()
"""
